/** What should be so in a session that nobody is forgetting. Pure: what is missing is found by comparing with it. */
import type { NewEvent } from "#protocol/events.ts";
import { TIMES } from "#protocol/limits.ts";
import { isParked } from "#protocol/run-view.ts";
import { activeRun, queuedRuns, type SessionView } from "#protocol/session-view.ts";
import { deadlineName } from "./commands.ts";
import { timeoutMs } from "./run-start.ts";
import { holdsLease, loseHost, stopNeedlessStart } from "./run-steps.ts";

/** Work that is unsaved for this long, with a host there and no try announced, is nobody's concern any more. */
const UNSAVED_MS = 60_000;

/** States that no decision leads to or out of, and the events that end them. */
export function decideReconcile(view: SessionView, now: number): NewEvent[] {
  const run = activeRun(view);
  if (run && !isParked(run) && !holdsLease(view)) {
    const reason = "The run was under way and no host had the session.";
    return loseHost(view, { reason, epoch: view.epoch }, now);
  }
  const { worker } = view;
  if (worker.state !== "starting" || worker.since > now - TIMES.prepareDeadlineMs) return [];
  return stopNeedlessStart(view);
}

/** Every deadline that this state has to have, with the moment to set when it is missing (SPEC [S-19]). */
export function deadlinesOf(view: SessionView, now: number): { name: string; at: number }[] {
  const deadlines = queuedRuns(view).map((run) => ({
    name: deadlineName.queue(run.id),
    at: Math.max(now, run.queuedAt + TIMES.queueDeadlineMs),
  }));
  const run = activeRun(view);
  switch (run?.state) {
    case "assigned":
    case "preparing":
      deadlines.push({ name: deadlineName.prepare(run.id), at: now + TIMES.prepareDeadlineMs });
      break;
    case "running": {
      const limitMs = timeoutMs(run) + TIMES.cancelDeadlineMs;
      deadlines.push({ name: deadlineName.timeout(run.id), at: Math.max(now, run.startedAt + limitMs) });
      break;
    }
    case "cancelling":
      deadlines.push({ name: deadlineName.cancel(run.id), at: now + TIMES.cancelDeadlineMs });
      break;
    case "waiting":
      if (view.worker.state === "active")
        deadlines.push({ name: deadlineName.park(run.id), at: now + TIMES.parkAfterMs });
      break;
    case undefined:
      break;
    default:
      run satisfies never;
  }
  for (const { requestId, expiresAt } of view.pending)
    if (expiresAt !== undefined) deadlines.push({ name: deadlineName.expire(requestId), at: Math.max(now, expiresAt) });
  const needless = !run && queuedRuns(view).length === 0;
  if (view.worker.state === "starting" && needless)
    deadlines.push({ name: deadlineName.workerStart, at: now + TIMES.prepareDeadlineMs });
  if (view.worker.state === "stopping")
    deadlines.push({ name: deadlineName.workerStop, at: now + TIMES.stopDeadlineMs });
  if (view.worker.state === "active" && needless)
    deadlines.push({ name: deadlineName.idle, at: now + TIMES.idleStopMs });
  return deadlines;
}

/** Why the host should be asked to save now; undefined when somebody is at it, or everything is saved. */
export function staleSync(view: SessionView, now: number): string | undefined {
  if (!holdsLease(view)) return undefined;
  const { failure, syncedAt = 0 } = view.workspace;
  if (failure) {
    // A person's turn: what would be asked for has been tried often enough.
    if (failure.blocked) return undefined;
    if (failure.nextAt === undefined) return "sync_failed_without_next_try";
    return failure.nextAt < now - UNSAVED_MS ? "sync_retry_overdue" : undefined;
  }
  if (activeRun(view) || view.worker.state !== "active") return undefined;
  const worked = view.runs.flatMap((run) => (run.state === "finished" && run.startedAt ? [run.finishedAt] : []));
  const last = Math.max(0, ...worked);
  return last > syncedAt && last < now - UNSAVED_MS ? "work_not_saved" : undefined;
}
