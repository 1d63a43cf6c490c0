import { expect, test } from "vitest";
import { z } from "zod";
import { CLOSE_CODES, closeByCode, ProtocolViolation } from "#protocol/close-codes.ts";
import { deeperThan, parseFrame } from "#protocol/frame.ts";
import { derivedId, newId, newRequestId, newRunId, runIdSchema, sessionIdSchema, sessionOf } from "#protocol/ids.ts";
import { LIMITS } from "#protocol/limits.ts";
import { plausibleAck, receive } from "#protocol/link.ts";
import { speaks } from "#protocol/version.ts";

const anything = z.unknown();

function closeOf(raw: string | ArrayBuffer, maxBytes?: number): string {
  try {
    parseFrame(raw, anything, maxBytes);
  } catch (error) {
    if (error instanceof ProtocolViolation) return error.close;
    throw error;
  }
  return "accepted";
}

test.each([
  ["binary", new ArrayBuffer(4), "protocol_violation"],
  ["not JSON", "{", "protocol_violation"],
  ["too deep", "[".repeat(LIMITS.jsonDepth + 2) + "]".repeat(LIMITS.jsonDepth + 2), "protocol_violation"],
  ["deep but allowed", "[".repeat(LIMITS.jsonDepth) + "]".repeat(LIMITS.jsonDepth), "accepted"],
])("[P-1] a frame that is %s", (_name, raw, close) => {
  expect(closeOf(raw)).toBe(close);
});

test("[P-1] the bound is in bytes, not in characters", () => {
  expect(closeOf(JSON.stringify("x".repeat(98)), 100)).toBe("accepted");
  expect(closeOf(JSON.stringify("x".repeat(99)), 100)).toBe("frame_too_large");
  expect(closeOf(JSON.stringify("€".repeat(40)), 100)).toBe("frame_too_large");
});

test("[P-1] measuring the depth does not itself run out of stack", () => {
  let deep: unknown = 1;
  for (let i = 0; i < 200_000; i++) deep = [deep];
  expect(deeperThan(deep, LIMITS.jsonDepth)).toBe(true);
});

test("[P-13] exactly the next number is taken", () => {
  expect([1, 2, 3, 4].map((n) => receive(2, n))).toEqual(["duplicate", "duplicate", "take", "gap"]);
});

test("[P-14] nobody acknowledges what was never sent", () => {
  expect([0, 5, 6, -1, 1.5].map((ack) => plausibleAck(5, ack))).toEqual([true, true, false, false, false]);
});

test("[P-19] every close code is there once and says whether to come back; an unknown one is worth another try", () => {
  const codes = Object.values(CLOSE_CODES).map((row) => row.code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(closeByCode(4412)).toEqual({ name: "stale_epoch", retry: false });
  expect(closeByCode(1006)).toEqual({ name: "unknown", retry: true });
});

test("[P-8] only versions of the stated range are spoken", () => {
  expect([0, 1, 2, 3, 1.5].map(speaks)).toEqual([false, true, true, false, false]);
});

test("ids name their kind, and runs and requests lead to their session", async () => {
  const session = newId("ses");
  expect(sessionIdSchema.safeParse(session).success).toBe(true);
  expect(sessionOf(newRunId(session))).toBe(session);
  expect(sessionOf(newRequestId(session))).toBe(session);
  expect(runIdSchema.safeParse(`${newRunId(session)}/../x`).success).toBe(false);
  expect(sessionOf("run_short-1")).toBeUndefined();
  expect(await derivedId("ses", "org", "key")).toBe(await derivedId("ses", "org", "key"));
  expect(await derivedId("ses", "org", "key")).not.toBe(await derivedId("ses", "or", "gkey"));
});
