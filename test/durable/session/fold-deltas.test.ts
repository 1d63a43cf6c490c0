/** The fold of deltas, against readers that stand anywhere. */
import type { UIMessageChunk } from "ai";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { applyEvent, emptyView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import { foldDeltas } from "../../../durable/session/fold-deltas.ts";

type Said = { type: SessionEvent["type"]; data: object; runId?: string };

const log = (said: readonly Said[]): SessionEvent[] =>
  said.map(
    (each, index) =>
      ({
        v: 1,
        seq: index + 1,
        at: 1_000 + index,
        sessionId: "ses_1",
        runId: "run_1",
        traceId: "t",
        ...each,
      }) as SessionEvent,
  );
const delta = (chunks: object[], messageId = "m"): Said => ({ type: "message.delta", data: { messageId, chunks } });
const words = (text: string, id = "1") => delta([{ type: "text-delta", id, delta: text }]);
const transcriptOf = (events: readonly SessionEvent[], from: Transcript = emptyTranscript) =>
  events.reduce(applyToTranscript, from);
const viewOf = (events: readonly SessionEvent[], from = emptyView("ses_1")) => events.reduce(applyEvent, from);

/** Chunks with ids that collide, in an order that no provider would choose. */
const id = fc.constantFrom("1", "2");
const chunk = fc.oneof(
  fc.record({ type: fc.constantFrom("text-start", "text-end", "reasoning-start", "reasoning-end"), id }),
  fc.record({ type: fc.constantFrom("text-delta", "reasoning-delta"), id, delta: fc.string({ maxLength: 3 }) }),
  fc.record({ type: fc.constant("text-delta"), id, delta: fc.string({ maxLength: 3 }) }),
  fc.record({ type: fc.constantFrom("tool-input-start"), toolCallId: id, toolName: fc.constant("bash") }),
  fc.record({ type: fc.constant("tool-input-delta"), toolCallId: id, inputTextDelta: fc.string({ maxLength: 3 }) }),
  fc.record({ type: fc.constant("tool-input-available"), toolCallId: id, toolName: fc.constant("bash"), input: id }),
  fc.record({ type: fc.constant("tool-output-available"), toolCallId: id, output: id, preliminary: fc.boolean() }),
  fc.record({ type: fc.constant("tool-output-error"), toolCallId: id, errorText: id }),
  fc.record({ type: fc.constant("data-x"), id: fc.option(id, { nil: undefined }), data: fc.nat(9) }),
  fc.record({ type: fc.constant("error"), errorText: id }),
  fc.constant({ type: "start-step" }),
);
const event: fc.Arbitrary<Said> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.array(chunk, { minLength: 1, maxLength: 4 }), fc.constantFrom("m", "m", "n"))
      .map(([chunks, message]) => delta(chunks, message)),
  },
  { weight: 1, arbitrary: fc.constant({ type: "todo.update" as const, data: { items: [] } }) },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom("m", "n")
      .map((messageId) => ({ type: "message.stop" as const, data: { messageId, text: "" } })),
  },
);

test("[P-36] whatever was said, and wherever a reader stands, the folded events bring it to the same place", () => {
  fc.assert(
    fc.property(fc.array(event, { maxLength: 25 }), (said) => {
      const events = log([...said, { type: "run.finished", data: { outcome: "succeeded" } }]);
      const folded = [...foldDeltas(events)];
      let next = 1;
      for (const each of folded) {
        expect(each.from ?? each.seq).toBe(next);
        next = each.seq + 1;
      }
      for (let cursor = 0; cursor <= events.length; cursor++) {
        const before = events.slice(0, cursor);
        const after = folded.filter(({ seq }) => seq > cursor);
        expect(transcriptOf(after, transcriptOf(before)), `transcript from ${cursor}`).toEqual(transcriptOf(events));
        expect(viewOf(after, viewOf(before)), `view from ${cursor}`).toEqual(viewOf(events));
      }
      expect([...foldDeltas(folded)].length).toBe(folded.length);
    }),
    { numRuns: 500 },
  );
});

test("[P-36] neighbouring deltas are one event; what lies between them keeps its place", () => {
  const events = log([
    delta([{ type: "text-start", id: "1" }]),
    words("one "),
    words("two"),
    { type: "todo.update", data: { items: [] } },
    words(" goes on"),
    delta([
      { type: "text-end", id: "1" },
      { type: "text-start", id: "2" },
    ]),
    words("new", "2"),
    words(" part", "2"),
    { type: "message.stop", data: { messageId: "m", text: "" } },
  ]);
  const folded = [...foldDeltas(events)];
  expect(folded.map(({ seq, from, type }) => [from ?? seq, seq, type])).toEqual([
    [1, 3, "message.delta"],
    [4, 4, "todo.update"],
    [5, 5, "message.delta"],
    [6, 8, "message.delta"],
    [9, 9, "message.stop"],
  ]);
  expect(folded[0]).toMatchObject({
    from: 1,
    at: 1_002,
    fold: { since: 1_000, parts: 0 },
    data: {
      chunks: [{ type: "text-start" }, { type: "text-delta", delta: "one two" }] satisfies Partial<UIMessageChunk>[],
    },
  });
  expect(folded[3]).toMatchObject({ fold: { since: 1_005, parts: 1 } });
});

test("[P-36] no folded event is larger than a row can be", () => {
  const piece = "x".repeat(8_000);
  const events = log([
    ...Array.from({ length: 100 }, (_, n) =>
      delta([
        { type: "text-start", id: `${n}` },
        { type: "text-delta", id: `${n}`, delta: piece },
        { type: "text-end", id: `${n}` },
      ]),
    ),
    delta([{ type: "text-start", id: "1" }]),
    ...Array.from({ length: 200 }, () => words(piece)),
  ]);
  const folded = [...foldDeltas(events)];
  expect(Math.max(...folded.map((each) => JSON.stringify(each).length))).toBeLessThan(900 * 1024);
  expect(transcriptOf(folded)).toEqual(transcriptOf(events));
});
