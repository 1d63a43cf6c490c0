import { readUIMessageStream, type UIMessageChunk } from "ai";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { SessionEvent } from "#protocol/events.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";

const SESSION = "ses_aaaaaaaaaaaaaaaaaaaa";

function event(
  seq: number,
  type: "message.delta",
  data: { messageId: string; chunks: UIMessageChunk[] },
): SessionEvent {
  return { v: 1, seq, at: seq, sessionId: SESSION, runId: "r", traceId: "t", type, data };
}

/** Streams as a provider makes them: parts opened, filled and closed, one after the other. */
const stream = fc
  .array(
    fc.oneof(
      fc.record({
        kind: fc.constantFrom("text" as const, "reasoning" as const),
        deltas: fc.array(fc.string(), { maxLength: 4 }),
      }),
      fc.record({ kind: fc.constant("tool" as const), input: fc.string(), output: fc.string(), fails: fc.boolean() }),
    ),
    { maxLength: 6 },
  )
  .map((parts) =>
    parts.flatMap((part, index): UIMessageChunk[] => {
      const id = `p${index}`;
      if (part.kind !== "tool") {
        const deltas = part.deltas.map((delta): UIMessageChunk => ({ type: `${part.kind}-delta`, id, delta }));
        return [{ type: `${part.kind}-start`, id }, ...deltas, { type: `${part.kind}-end`, id }];
      }
      const tool = { toolCallId: id, dynamic: true } as const;
      const end: UIMessageChunk = part.fails
        ? { type: "tool-output-error", ...tool, errorText: part.output }
        : { type: "tool-output-available", ...tool, output: part.output };
      return [
        { type: "tool-input-start", ...tool, toolName: "bash" },
        { type: "tool-input-delta", toolCallId: id, inputTextDelta: JSON.stringify(part.input) },
        { type: "tool-input-available", ...tool, toolName: "bash", input: part.input },
        end,
      ];
    }),
  );

/** The AI SDK's own reader as the oracle for what a stream means. */
async function oracle(chunks: UIMessageChunk[]): Promise<unknown[]> {
  const readable = new ReadableStream<UIMessageChunk>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
  let parts: unknown[] = [];
  for await (const message of readUIMessageStream({ stream: readable })) parts = message.parts;
  return parts;
}

const essence = (part: Record<string, unknown>) => ({
  type: part.type,
  text: part.text,
  state: part.state,
  toolCallId: part.toolCallId,
  input: part.input,
  output: part.output,
  errorText: part.errorText,
});

test("the fold of a message is what the AI SDK's own reader makes of the same chunks", async () => {
  await fc.assert(
    fc.asyncProperty(stream, async (chunks) => {
      const folded = chunks.length
        ? applyToTranscript(emptyTranscript, event(1, "message.delta", { messageId: "m", chunks }))
        : emptyTranscript;
      const ours = (folded.messages[0]?.parts ?? []).map((part) => essence(part as Record<string, unknown>));
      const theirs = (await oracle(chunks)).map((part) => essence(part as Record<string, unknown>));
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 200 },
  );
});

test("[P-21] however the chunks are cut into events, and however often an event comes, the message is the same", () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(3), { maxLength: 30 }), (chunks, cuts) => {
      const events: SessionEvent[] = [];
      const rest = [...chunks];
      for (const cut of cuts) {
        const taken = rest.splice(0, cut);
        if (taken.length) events.push(event(events.length + 1, "message.delta", { messageId: "m", chunks: taken }));
      }
      if (rest.length) events.push(event(events.length + 1, "message.delta", { messageId: "m", chunks: rest }));
      const whole = chunks.length
        ? applyToTranscript(emptyTranscript, event(1, "message.delta", { messageId: "m", chunks }))
        : emptyTranscript;
      let once: Transcript = emptyTranscript;
      let twice: Transcript = emptyTranscript;
      for (const each of events) once = applyToTranscript(once, each);
      for (const each of events) twice = applyToTranscript(applyToTranscript(twice, each), each);
      expect(once.messages[0]?.parts).toEqual(whole.messages[0]?.parts);
      expect(twice).toEqual(once);
    }),
  );
});

test("a chunk that nobody knows, or that names a part nobody opened, is ignored", () => {
  const strange = [
    { type: "from-the-future", x: 1 },
    { type: "text-delta", id: "nobody", delta: "x" },
    { type: "text-start", id: "1" },
  ];
  const folded = applyToTranscript(
    emptyTranscript,
    event(1, "message.delta", { messageId: "m", chunks: strange as UIMessageChunk[] }),
  );
  expect(folded.messages[0]?.parts).toEqual([{ type: "text", id: "1", text: "", state: "streaming" }]);
});

test("a folded event replaces what it covers", () => {
  const delta = (seq: number, text: string, from?: number): SessionEvent =>
    ({
      ...event(seq, "message.delta", {
        messageId: "m",
        chunks: [
          { type: "text-start", id: "1" },
          { type: "text-delta", id: "1", delta: text },
        ],
      }),
      from,
    }) as SessionEvent;
  const partly = applyToTranscript(emptyTranscript, delta(1, "Hel"));
  const folded = applyToTranscript(partly, delta(3, "Hello", 1));
  expect(folded.messages).toHaveLength(1);
  expect(folded.messages[0]?.parts).toEqual([{ type: "text", id: "1", text: "Hello", state: "streaming" }]);
});
