/** What is in memory of a queue is what a new instance reads. */
import { expect, test } from "vitest";
import type { LeaseRequest } from "#protocol/objects.ts";
import { FleetStore } from "../../../durable/fleet/fleet-store.ts";
import { Disk } from "../../fuzz/disk.ts";

const request = (n: number, lastEpoch = 0): LeaseRequest => ({
  runId: `run_${n}`,
  sessionId: `ses_${n % 3}`,
  provider: "scripted",
  vmMode: "docker",
  lastEpoch,
  requestedBy: "ada",
  traceId: "t",
});

test("[F-12] [S-3] after every change the queue in memory and the one on disk are the same, in the same order", () => {
  const storage = new Disk(() => {}).storage({ alive: true });
  const { queue } = new FleetStore(storage);
  const refusal = { hostId: "h1", reason: "full" };
  const steps: (() => void)[] = [
    () => queue.add(request(1), 10),
    () => queue.add(request(2), 10),
    () => queue.add(request(4), 11),
    () => queue.waiting("run_2", "no slot", "slots"),
    () => queue.refused("run_1", refusal),
    () => queue.refused("run_1", { hostId: "h2", reason: "no" }),
    () => queue.add(request(1, 3), 12),
    () => queue.forgetRefusals("h1"),
    () => queue.refused("run_9", refusal),
    () => queue.waiting("run_9", "x", "slots"),
    () => queue.removeServed("ses_1", 2),
    () => queue.add(request(5), 13),
    () => queue.remove("ses_2", "run_2"),
    () => queue.remove("ses_1"),
  ];
  for (const step of steps) {
    step();
    expect(queue.list()).toEqual(new FleetStore(storage).queue.list());
  }
  expect(queue.list().map((entry) => entry.request.runId)).toEqual(["run_5"]);
});
