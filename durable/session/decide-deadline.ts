/** Every state that waits has a deadline and an exit: what happens when the deadline passes. */
import type { NewEvent } from "#protocol/events.ts";
import { runById, type SessionView } from "#protocol/session-view.ts";
import { parseDeadline } from "./commands.ts";
import { resumeWorker } from "./decide-host-message.ts";
import { park } from "./parking.ts";
import { finishActive, finishRun, holdsLease, stopIdleWorker, stopNeedlessStart } from "./run-steps.ts";
import { expire } from "./seen.ts";

/** A deadline that no longer fits the state (it fired late, twice, or was overtaken) changes nothing. */
export function decideDeadline(view: SessionView, name: string): NewEvent[] {
  const { kind, runId } = parseDeadline(name);
  const run = runById(view, runId);
  switch (kind) {
    case "queue": {
      if (run?.state !== "queued") return [];
      const evidence = run.detail ? `No host took the run in time: ${run.detail}` : "No host took the run in time.";
      return [finishRun(run, { outcome: "failed", reason: "host_lost", evidence })];
    }
    case "prepare": {
      if (run?.state !== "assigned" && run?.state !== "preparing") return [];
      const evidence =
        "The host did not get the worker ready in time. Look at the host's own log, or run `gantry host doctor` there.";
      return finishActive(view, run, { outcome: "failed", reason: "container_failed", evidence });
    }
    case "timeout": {
      if (run?.state !== "running") return [];
      const evidence = "The run exceeded its time limit and its host did not end it.";
      return finishActive(view, run, { outcome: "timed_out", reason: "timeout", evidence });
    }
    case "cancel":
      return run?.state === "cancelling" ? finishActive(view, run, { outcome: "cancelled" }) : [];
    case "park":
      return park(view, run);
    case "expire":
      return expire(view, runId);
    case "idle":
      return stopIdleWorker(view);
    case "worker-start":
      return stopNeedlessStart(view);
    case "worker-stop":
      // Not saved, so not stopped: the worker stays, and people can see it.
      return view.worker.state === "stopping" && holdsLease(view) ? resumeWorker(view) : [];
    default:
      return kind satisfies never;
  }
}
