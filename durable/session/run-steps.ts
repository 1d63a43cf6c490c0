/** The steps of a run that several decisions share. Pure; each answers the events of the step. */
import type { NewEvent, RunFinishedData } from "#protocol/events.ts";
import { MAX_ATTEMPTS, retryDelayMs } from "#protocol/limits.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import { isParked, type RunView } from "#protocol/run-view.ts";
import { activeRun, queuedRuns, type SessionView } from "#protocol/session-view.ts";

/** True while a host has the exclusive right to this session's worker. */
export function holdsLease(view: SessionView): view is SessionView & { worker: LeaseHolder } {
  return view.worker.state === "starting" || view.worker.state === "active" || view.worker.state === "stopping";
}

/** Why a host may not touch this session's store under this epoch; undefined when it may. */
export function leaseRefusal(view: SessionView, hostId: string, epoch: number | undefined): Rejection | undefined {
  if (!holdsLease(view) || view.worker.hostId !== hostId) {
    return reject("stale_epoch", `This host has no lease of this session; the current epoch is ${view.epoch}.`);
  }
  if (epoch === undefined || epoch === view.epoch) return undefined;
  return reject("stale_epoch", `The current epoch is ${view.epoch}.`);
}

type LeaseHolder = { hostId: string; labels?: Record<string, string> | undefined };

/**
 * The first waiting run goes to the host that has the lease. One that asks for labels which that host has not makes the
 * worker give way, so that the fleet can find another. Call only when no run is active.
 */
export function nextRun(view: SessionView, { hostId, labels = {} }: LeaseHolder, epoch = view.epoch): NewEvent[] {
  const run = queuedRuns(view)[0];
  if (!run) return [];
  const fits = Object.entries(run.labels ?? {}).every(([name, value]) => labels[name] === value);
  if (fits) return [{ type: "run.status", runId: run.id, data: { state: "assigned", hostId } }];
  const detail = "the next run asks for labels that this host has not";
  return [{ type: "worker.status", data: { state: "stopping", hostId, epoch, detail } }];
}

type HandedOut = Exclude<RunView, { state: "queued" | "finished" }>;

/** The run waits for its next attempt, which is not made at once; undefined after the last one. */
export function tryAgain(run: HandedOut, reason: string, now: number): NewEvent | undefined {
  if (run.attempt >= MAX_ATTEMPTS) return undefined;
  const attempt = run.attempt + 1;
  const delayMs = retryDelayMs(attempt);
  const detail = `${reason.slice(0, 800)} Attempt ${attempt} of ${MAX_ATTEMPTS} follows in ${delayMs / 1_000} s.`;
  const data = { state: "queued" as const, attempt, nextAt: now + delayMs, failedHostId: run.hostId, detail };
  return { type: "run.status", runId: run.id, data };
}

/** Nothing has begun, so the next attempt may be made elsewhere: the worker gives way. Undefined after the last one. */
export function tryElsewhere(view: SessionView, run: HandedOut, reason: string, now: number): NewEvent[] | undefined {
  const again = tryAgain(run, reason, now);
  if (!again || (run.state !== "assigned" && run.state !== "preparing")) return undefined;
  const { worker } = view;
  if (worker.state !== "starting" && worker.state !== "active") return [again];
  const { hostId } = worker;
  const detail = "a run could not be started here";
  return [again, { type: "worker.status", data: { state: "stopping", hostId, epoch: view.epoch, detail } }];
}

/** Exactly one `run.finished`; questions that nobody can answer any more are closed before it. */
export function finishRun(run: RunView, data: RunFinishedData): NewEvent {
  return { type: "run.finished", runId: run.id, data };
}

export function closeRequests(view: SessionView, runId: string): NewEvent[] {
  return view.pending
    .filter((request) => request.runId === runId)
    .map((request) => ({
      type: "human_loop.resolved",
      runId,
      data: { requestId: request.requestId, decision: "cancelled" },
    }));
}

/** The active run ends and, while the worker is there for it, the next one begins. */
export function finishActive(view: SessionView, run: RunView, data: RunFinishedData): NewEvent[] {
  // Whoever was told "cancelling" is told "cancelled", also when the work was done in the meantime.
  const closing = run.state === "cancelling" ? { outcome: "cancelled" as const, usage: data.usage } : data;
  const next = holdsLease(view) && view.worker.state !== "stopping" ? nextRun(view, view.worker) : [];
  return [...closeRequests(view, run.id), finishRun(run, closing), ...next];
}

/** At once when nothing was handed out; else in two phases with a deadline. */
export function cancelRun(view: SessionView, run: RunView, reason: string | undefined): NewEvent[] {
  switch (run.state) {
    case "queued":
      return [finishRun(run, { outcome: "cancelled" })];
    case "assigned":
    case "preparing":
    case "running":
    case "waiting":
      // Nothing of it runs anywhere, so there is nobody to confirm it.
      if (isParked(run)) return finishActive(view, run, { outcome: "cancelled" });
      return [
        ...closeRequests(view, run.id),
        { type: "run.status", runId: run.id, data: { state: "cancelling", hostId: run.hostId, detail: reason } },
      ];
    case "cancelling":
    case "finished":
      return [];
    default:
      return run satisfies never;
  }
}

/** Whether the worker's host has something that would be lost with it: a worker that is up, or a run that has started. */
export function begun(view: SessionView): boolean {
  const run = activeRun(view);
  return view.worker.state !== "starting" || (run?.state !== "assigned" && run?.state !== "preparing");
}

/**
 * The worker's host is gone. Work that may have happened is never silently done twice. The loss may be faster than the
 * grant it undoes: then `epoch` is new here, and seen from now on, so that the grant is refused when it comes.
 */
export function loseHost(
  view: SessionView,
  { reason, epoch }: { reason: string; epoch: number },
  now: number,
): NewEvent[] {
  const cold: NewEvent = { type: "worker.status", data: { state: "cold", epoch, detail: reason } };
  const run = activeRun(view);
  if (!run) return [cold];
  // It waits for a person, not for this host; its conversation goes on from what was saved.
  if (isParked(run)) return [cold];
  const closed = closeRequests(view, run.id);
  if (run.state === "cancelling") return [cold, ...closed, finishRun(run, { outcome: "cancelled" })];
  const notStarted = run.state === "assigned" || run.state === "preparing";
  const mayRepeat = notStarted || run.retryOn?.includes("host_lost");
  const again = mayRepeat ? tryAgain(run, reason, now) : undefined;
  if (again) return [cold, ...closed, again];
  const evidence = mayRepeat
    ? `Gave up after ${run.attempt} attempts: ${reason}`
    : `${reason} The run had started, so it is not repeated on its own; send the prompt again if that is safe.`;
  return [cold, ...closed, finishRun(run, { outcome: "failed", reason: "host_lost", evidence })];
}

/** A worker that was started for a run that is gone would hold its slot, and nothing else would ever stop it. */
export function stopNeedlessStart(view: SessionView): NewEvent[] {
  const { worker } = view;
  if (worker.state !== "starting" || activeRun(view) || queuedRuns(view).length > 0) return [];
  const detail = "nothing is left to do for it";
  return [{ type: "worker.status", data: { state: "stopping", hostId: worker.hostId, epoch: view.epoch, detail } }];
}

/** A worker with nothing to do is told to save and stop; one that is busy stays. */
export function stopIdleWorker(view: SessionView, detail?: string): NewEvent[] {
  if (view.worker.state !== "active" || activeRun(view) || queuedRuns(view).length > 0) return [];
  return [
    { type: "worker.status", data: { state: "stopping", hostId: view.worker.hostId, epoch: view.epoch, detail } },
  ];
}

/** What a stop of this run, or of any, has come to. */
export function stopState(view: SessionView, runId: string | undefined): "cancelling" | "finished" {
  return view.runs.some((run) => run.state === "cancelling" && (!runId || run.id === runId))
    ? "cancelling"
    : "finished";
}
