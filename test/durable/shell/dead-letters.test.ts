import { expect, test } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import type { DeadLetter } from "#protocol/objects.ts";
import { FleetStore } from "../../../durable/fleet/fleet-store.ts";
import { Disk } from "../../fuzz/disk.ts";

const letters = () => new FleetStore(new Disk(() => {}).storage({ alive: true })).deadLetters;
const letter = (runId: string, failedAt: number): DeadLetter => ({
  runId,
  sessionId: "ses_1",
  provider: "scripted",
  reason: "host_lost",
  evidence: "silent",
  attempts: 3,
  begun: false,
  requestedBy: "usr_ada",
  failedAt,
});

test("[F-19] a dead letter told twice is there once, the newest first; the first redrive counts", () => {
  const kept = letters();
  for (const [runId, at] of [["a", 1] as const, ["b", 2] as const, ["a", 9] as const]) kept.add(letter(runId, at));
  expect(kept.list()).toEqual([letter("b", 2), letter("a", 1)]);
  kept.redriven("a", "c", 10);
  kept.redriven("a", "d", 11);
  kept.add(letter("a", 12));
  expect(kept.list()).toEqual([letter("b", 2), { ...letter("a", 1), redrivenAs: "c", redrivenAt: 10 }]);
});

test("[F-19] a pool keeps the newest dead letters, however many there are", () => {
  const kept = letters();
  for (let n = 0; n < LIMITS.deadLetters + 3; n++) kept.add(letter(`run-${n}`, n));
  const runs = kept.list().map(({ runId }) => runId);
  expect(runs).toHaveLength(LIMITS.deadLetters);
  expect(runs.at(-1)).toBe("run-3");
});
