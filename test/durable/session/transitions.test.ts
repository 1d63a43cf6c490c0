/** What each thing that can happen does to a run in each state. The table is total: a new state or a new cause does not compile until every outcome is stated. */
import { expect, test } from "vitest";
import type { RunState } from "#protocol/vocabulary.ts";
import { deadlineName } from "../../../durable/session/commands.ts";
import { SessionScript } from "../../support/session-script.ts";

type Started = Exclude<RunState, "finished">;
type Cause =
  | "lease granted"
  | "host accepts"
  | "host starts"
  | "runner finishes"
  | "runner waits"
  | "host aborts"
  | "host lost"
  | "stopped by a person"
  | "queue deadline"
  | "prepare deadline"
  | "timeout deadline"
  | "cancel deadline";
type Outcome = Started | "succeeded" | "failed" | "cancelled" | "timed_out";

const same = {
  queued: "queued",
  assigned: "assigned",
  preparing: "preparing",
  running: "running",
  waiting: "waiting",
  cancelling: "cancelling",
} as const;

const TABLE: Record<Cause, Record<Started, Outcome>> = {
  "lease granted": { ...same, queued: "assigned" },
  "host accepts": { ...same, assigned: "preparing" },
  "host starts": { ...same, assigned: "running", preparing: "running" },
  "runner finishes": {
    queued: "queued",
    assigned: "succeeded",
    preparing: "succeeded",
    running: "succeeded",
    waiting: "succeeded",
    cancelling: "cancelled",
  },
  "runner waits": {
    queued: "queued",
    assigned: "waiting",
    preparing: "waiting",
    running: "waiting",
    waiting: "waiting",
    cancelling: "cancelling",
  },
  // Its worker failed: nothing has begun before the start, so another attempt is made.
  "host aborts": {
    queued: "queued",
    assigned: "queued",
    preparing: "queued",
    running: "failed",
    waiting: "failed",
    cancelling: "cancelled",
  },
  "host lost": {
    queued: "queued",
    assigned: "queued",
    preparing: "queued",
    running: "failed",
    waiting: "failed",
    cancelling: "cancelled",
  },
  "stopped by a person": {
    queued: "cancelled",
    assigned: "cancelling",
    preparing: "cancelling",
    running: "cancelling",
    waiting: "cancelling",
    cancelling: "cancelling",
  },
  "queue deadline": { ...same, queued: "failed" },
  "prepare deadline": { ...same, assigned: "failed", preparing: "failed" },
  "timeout deadline": { ...same, running: "timed_out" },
  "cancel deadline": { ...same, cancelling: "cancelled" },
};

const CAUSES: Record<Cause, (script: SessionScript, runId: string) => void> = {
  "lease granted": (script) =>
    void script.try({ type: "lease_granted", hostId: "hst_bbbbbbbbbbbbbbbbbbbb", epoch: script.view.epoch + 1 }),
  "host accepts": (script, runId) =>
    void script.try({ type: "host_message", epoch: script.view.epoch, message: { type: "run.accepted", runId } }),
  "host starts": (script, runId) =>
    void script.try({ type: "host_message", epoch: script.view.epoch, message: { type: "run.started", runId } }),
  "runner finishes": (script, runId) => void script.finish(runId),
  "runner waits": (script, runId) => void script.runner(runId, { type: "run.status", data: { state: "waiting" } }),
  "host aborts": (script, runId) =>
    void script.host({ type: "run.aborted", runId, reason: "container_failed", evidence: "exit 137" }),
  "host lost": (script) => void script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" }),
  "stopped by a person": (script, runId) => void script.do({ type: "stop", runId }),
  "queue deadline": (script, runId) => void script.deadline(deadlineName.queue(runId)),
  "prepare deadline": (script, runId) => void script.deadline(deadlineName.prepare(runId)),
  "timeout deadline": (script, runId) => void script.deadline(deadlineName.timeout(runId)),
  "cancel deadline": (script, runId) => void script.deadline(deadlineName.cancel(runId)),
};

for (const [cause, row] of Object.entries(TABLE) as [Cause, Record<Started, Outcome>][]) {
  for (const [state, outcome] of Object.entries(row) as [Started, Outcome][]) {
    test(`[S-7] ${state}: ${cause} → ${outcome}`, () => {
      const { script, runId } = SessionScript.withRun(state);
      expect(script.run(runId).state).toBe(state);
      CAUSES[cause](script, runId);
      const run = script.run(runId);
      expect(run.state === "finished" ? run.outcome : run.state).toBe(outcome);
    });
  }
}

for (const cause of Object.keys(CAUSES) as Cause[]) {
  test(`[S-6] a finished run stays as it is: ${cause}`, () => {
    const { script, runId } = SessionScript.withRun("running");
    script.finish(runId);
    const before = script.run(runId);
    CAUSES[cause](script, runId);
    expect(script.run(runId)).toEqual(before);
    expect(script.log.filter((event) => event.type === "run.finished")).toHaveLength(1);
  });
}
