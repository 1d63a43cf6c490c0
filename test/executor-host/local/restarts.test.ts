import { expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { HOST_RESTARTS } from "../../../executor-host/local/local-host.ts";
import { Restarts } from "../../../executor-host/local/restarts.ts";

test("each start in a row waits longer, and the last pause stands for all after it", () => {
  const restarts = new Restarts([100, 500, 2_000], 30_000);
  expect([0, 10, 30_000, 0, 0].map((ranMs) => restarts.next(ranMs))).toEqual([100, 500, 2_000, 2_000, 2_000]);
});

test("after a healthy spell the next start is quick again", () => {
  const restarts = new Restarts([100, 500, 2_000], 30_000);
  for (let i = 0; i < 5; i++) restarts.next(0);
  expect(restarts.next(30_001)).toBe(100);
  expect(restarts.next(0)).toBe(500);
});

test("two supervisors do not share their count", () => {
  const [one, other] = [new Restarts([1, 2], 0), new Restarts([1, 2], 0)];
  one.next(0);
  expect(other.next(0)).toBe(1);
});

test("a host that crashes again and again is back before its leases are lost, with time to start and to dial", () => {
  const { delaysMs, healthyMs } = HOST_RESTARTS;
  expect(delaysMs.toSorted((a, b) => a - b)).toEqual(delaysMs);
  expect(delaysMs.at(-1)).toBeLessThanOrEqual(TIMES.leaseMs / 3);
  // One that lives only just longer than a lease is not healthy yet.
  expect(healthyMs).toBeGreaterThan(TIMES.leaseMs);
});
