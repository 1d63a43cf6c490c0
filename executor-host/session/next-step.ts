/** What a session on this host does next, from what is on disk. Pure. */
import type { Lease, RunRecord } from "./records.ts";

export type Step = { do: "drive"; run: RunRecord } | { do: "stop" } | { do: "release" } | { do: "idle" };

/** Runs first, in the order they came: a worker is not stopped under a run, only after it. */
export function nextStep(lease: Lease | undefined, runs: readonly RunRecord[]): Step {
  if (!lease) return { do: "idle" };
  if (lease.phase === "stopped") return { do: "release" };
  const run = runs[0];
  if (run) return { do: "drive", run };
  return lease.stopReason === undefined ? { do: "idle" } : { do: "stop" };
}
