import type { UIMessageChunk } from "ai";
import fc from "fast-check";
import { expect, test } from "vitest";
import { applyChunks } from "#protocol/transcript.ts";
import { jsonBytes } from "../../../executor-host/runner/bounds.ts";
import { BATCH_BYTES, DeltaGatherer, WINDOW_MS } from "../../../executor-host/runner/delta-gatherer.ts";
import { ManualClock } from "./support/manual-clock.ts";

const text = (delta: string, id = "1"): UIMessageChunk => ({ type: "text-delta", id, delta });

function gatherer() {
  const clock = new ManualClock();
  const out: UIMessageChunk[][] = [];
  return { clock, out, gather: new DeltaGatherer(clock, (chunks) => out.push(chunks)) };
}

test("the first chunk after quiet goes out at once, what follows in the window goes out together", () => {
  const { clock, out, gather } = gatherer();
  gather.push(text("a"));
  expect(out).toEqual([[text("a")]]);
  gather.push(text("b"));
  gather.push(text("c"));
  clock.advance(WINDOW_MS - 1);
  expect(out).toHaveLength(1);
  clock.advance(1);
  expect(out[1]).toEqual([text("bc")]);
});

test("while chunks keep coming there is one event a window; after a quiet window the next goes out at once", () => {
  const { clock, out, gather } = gatherer();
  for (let i = 0; i < 10; i++) {
    gather.push(text("x"));
    clock.advance(WINDOW_MS / 5);
  }
  expect(out.length).toBeLessThanOrEqual(3);
  clock.advance(10 * WINDOW_MS);
  const before = out.length;
  expect(clock.pending).toBe(0);
  gather.push(text("y"));
  expect(out).toHaveLength(before + 1);
});

test("the opening of a part waits for its first content and goes out with it at once", () => {
  const { clock, out, gather } = gatherer();
  gather.push({ type: "text-start", id: "1" });
  expect(out).toEqual([]);
  gather.push(text("a"));
  expect(out).toEqual([[{ type: "text-start", id: "1" }, text("a")]]);
  clock.advance(2 * WINDOW_MS);
  gather.push({ type: "reasoning-start", id: "2" });
  clock.advance(WINDOW_MS);
  expect(out[1]).toEqual([{ type: "reasoning-start", id: "2" }]);
});

test("flush sends what is gathered now", () => {
  const { clock, out, gather } = gatherer();
  gather.push(text("a"));
  gather.push(text("b"));
  gather.flush();
  expect(out).toEqual([[text("a")], [text("b")]]);
  gather.flush();
  expect(out).toHaveLength(2);
  expect(clock.pending).toBe(0);
});

test("a batch that grows too large does not wait for its window", () => {
  const { out, gather } = gatherer();
  gather.push(text("a"));
  gather.push(text("x".repeat(BATCH_BYTES * 3)));
  gather.flush();
  expect(out.length).toBeGreaterThanOrEqual(4);
  for (const chunks of out) expect(jsonBytes(chunks)).toBeLessThan(BATCH_BYTES * 1.1);
});

test("whatever comes in, the reader's fold over the batches is the fold over the chunks", () => {
  const chunk = fc.oneof(
    fc.constantFrom("1", "2").map((id): UIMessageChunk => ({ type: "text-start", id })),
    fc.tuple(fc.constantFrom("1", "2"), fc.string()).map(([id, delta]): UIMessageChunk => text(delta, id)),
    fc.constantFrom("1", "2").map((id): UIMessageChunk => ({ type: "text-end", id })),
    fc
      .string()
      .map((inputTextDelta): UIMessageChunk => ({ type: "tool-input-delta", toolCallId: "t", inputTextDelta })),
    fc.constant<UIMessageChunk>({ type: "tool-input-start", toolCallId: "t", toolName: "x" }),
    fc.constant<"wait">("wait"),
    fc.constant<"flush">("flush"),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 60 }), (script) => {
      const { clock, out, gather } = gatherer();
      for (const step of script) {
        if (step === "wait") clock.advance(WINDOW_MS);
        else if (step === "flush") gather.flush();
        else gather.push(step);
      }
      gather.flush();
      const chunks = script.filter((step) => typeof step !== "string");
      const folded = out.reduce((parts, batch) => applyChunks(parts, batch), applyChunks([], []));
      expect(folded).toEqual(applyChunks([], chunks));
    }),
  );
});
