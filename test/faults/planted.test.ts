/** Faults in which something goes wrong on purpose: one that reports nothing then would report nothing ever. */
import { afterEach, expect, test, vi } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { sharedControlPlane } from "../support/shared-control-plane.ts";
import { FAULTS } from "./all.ts";
import { runFault } from "./fault.ts";
import type { Follower } from "./follower.ts";
import { Mouth, numbered, Pool } from "./pool.ts";
import { faulty, type RealHost } from "./real-host.ts";

Pool.start = sharedControlPlane;
afterEach(() => vi.restoreAllMocks());

/** Every batch of events that a host says goes through `change`. */
function hostsSay(change: (events: RunEvent[]) => RunEvent[]): void {
  const { keep } = Mouth.prototype;
  vi.spyOn(Mouth.prototype, "keep").mockImplementation(function (this: Mouth, message) {
    const said = message.type === "run.events" ? { ...message, events: change(message.events) } : message;
    return keep.call(this, said);
  });
}
const twice = () => hostsSay((events) => [numbered(7_777), numbered(7_777), ...events]);
const failing = () =>
  hostsSay((events) =>
    events.map((event) =>
      event.type === "run.finished"
        ? { ...event, data: { outcome: "failed" as const, reason: "internal" as const } }
        : event,
    ),
  );

/** What is planted for each, and what it has to say. */
const PLANTED: Record<string, [plant: () => void, says: string]> = {
  "frames-disturbed": [twice, "doubled: 7777"],
  "poison-frames": [twice, "left something in the log"],
  "two-hosts": [twice, "doubled: 7777"],
  "stale-host": [twice, "doubled: 7777"],
  "cancel-orders": [twice, "doubled: 7777"],
  herd: [twice, "doubled: 7777"],
  alarms: [twice, "doubled: 7777"],
  "viewer-cut": [twice, "doubled: 7777"],
  "poison-run": [failing, "a healthy run ended failed"],
  evicted: [sayMoreOnceEvicted, "≠"],
};

function sayMoreOnceEvicted(): void {
  let evicted = false;
  const { reopened } = Pool.prototype;
  // A page is opened anew when sockets were cut with the eviction, and at the end of each story.
  vi.spyOn(Pool.prototype, "reopened").mockImplementation(async function (this: Pool, page, cursor) {
    evicted = true;
    return await reopened.call(this, page, cursor);
  });
  hostsSay((events) => (evicted ? [numbered(7_777), ...events] : events));
}

test.each(Object.entries(PLANTED))("%s notices what is planted", { timeout: 90_000 }, async (name, [plant, says]) => {
  const fault = FAULTS.find((each) => each.name === name);
  if (!fault) throw new Error(`there is no fault ${name}`);
  plant();
  const { violations } = await runFault(fault, { form: "short", seed: "planted", trials: 1 });
  expect(violations.join("\n")).toContain(says);
});

test("a run of a real host that lost, doubled or swapped words, ended otherwise or took two attempts is faulty", async () => {
  const host = (attempts: number) => ({ attempts: async () => attempts }) as unknown as RealHost;
  const run = (said: number[], ended = "succeeded", flaws: string[] = []) =>
    ({ said, ended, flaws, runId: "run_1" }) as unknown as Follower;
  expect(await faulty(host(1), run([0, 1, 2]), 3)).toEqual([]);
  expect(await faulty(host(1), run([0, 2]), 3)).toEqual(["said 2 of 3: 0,2…"]);
  expect(await faulty(host(1), run([0, 1, 1]), 3)).toEqual(["said 3 of 3: 0,1,1…"]);
  expect(await faulty(host(1), run([0, 2, 1]), 3)).toEqual(["said 3 of 3: 0,2,1…"]);
  expect(await faulty(host(1), run([0, 1, 2], "failed host_lost"), 3)).toEqual(["it ended failed host_lost"]);
  expect(await faulty(host(2), run([0, 1, 2]), 3)).toEqual(["2 attempts"]);
  expect(await faulty(host(1), run([0, 1, 2], "succeeded", ["event 5 follows 3"]), 3)).toEqual(["event 5 follows 3"]);
});
