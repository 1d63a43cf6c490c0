/** What an object owes and when it looks again, with a clock that the test moves. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Chores } from "../../../durable/shell/chores.ts";
import { Disk } from "../../fuzz/disk.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
afterEach(() => void vi.useRealTimers());

test("[S-4] what becomes due while something else is delivered goes out with it, and does not wait for the alarm's patience", async () => {
  const told: string[] = [];
  const chores = new Chores(new Disk(() => {}).storage({ alive: true }), {
    component: "test",
    laneOf: (key) => key,
    deadline: () => {},
    deliver: async (key) => {
      told.push(key);
      if (key === "slow") vi.advanceTimersByTime(200);
    },
  });
  await chores.settle();
  const now = Date.now();
  chores.outbox.put("slow", "1", now + 50);
  chores.outbox.put("gathered", "2", now + 100);
  await chores.settle();
  expect(told).toEqual([]);
  vi.advanceTimersByTime(50);
  await chores.alarm(Date.now());
  expect(told).toEqual(["slow", "gathered"]);
});
