import { expect, test } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import { boundChunk, cutText, cutValue, DELTA_PIECE_CHARS, jsonBytes } from "../../../executor-host/runner/bounds.ts";

test("text is cut at a character, with a note of what is missing", () => {
  expect(cutText("short", 5)).toBe("short");
  expect(cutText("äöü", 3)).toBe("ä\n[… 4 more bytes were left out here]");
});

test("a value keeps its shape when its strings are cut", () => {
  const cut = cutValue({ exitCode: 1, output: "x".repeat(200_000) }, 10_000) as { exitCode: number; output: string };
  expect(cut.exitCode).toBe(1);
  expect(cut.output).toMatch(/^x+\n\[… \d+ more bytes were left out here\]$/);
  expect(jsonBytes(cut)).toBeLessThanOrEqual(10_000);
});

test.each([
  ["many small strings", Array.from({ length: 50_000 }, (_, i) => `item ${i}`)],
  ["text full of escapes", '"'.repeat(200_000)],
  ["text of wide characters", "€".repeat(100_000)],
])("%s fit the bound in the end", (_name, value) => {
  expect(jsonBytes(cutValue(value, LIMITS.toolOutputBytes))).toBeLessThanOrEqual(LIMITS.toolOutputBytes);
});

test("tool output is cut, streamed text only split", () => {
  const output = boundChunk({ type: "tool-output-available", toolCallId: "t", output: "x".repeat(1_000_000) });
  expect(jsonBytes(output)).toBeLessThan(LIMITS.toolOutputBytes + 200);
  const long = "😀".repeat(DELTA_PIECE_CHARS);
  const pieces = boundChunk({ type: "text-delta", id: "1", delta: long });
  expect(pieces.length).toBeGreaterThan(1);
  const texts = pieces.map((piece) => (piece.type === "text-delta" ? piece.delta : ""));
  expect(texts.join("")).toBe(long);
  for (const text of texts) expect(text.isWellFormed()).toBe(true);
});
