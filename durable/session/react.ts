/** Which effects follow from an event. Pure; the shell carries them out in the same turn or through the outbox. */
import type { SessionEvent } from "#protocol/events.ts";
import { TIMES } from "#protocol/limits.ts";
import type { ToHostData } from "#protocol/messages.ts";
import type { DeadLetter, LeaseRequest } from "#protocol/objects.ts";
import { isParked, type RunView } from "#protocol/run-view.ts";
import { activeRun, hasUnparkedRun, queuedRuns, runById, type SessionView } from "#protocol/session-view.ts";
import { warmHost } from "#protocol/workspace-view.ts";
import { deadlineName } from "./commands.ts";
import { runStart, timeoutMs } from "./run-start.ts";

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

/** What the D1 index has to learn. Rows of sessions and runs are made from the view when they are written. */
export type Indexed =
  | { kind: "session" }
  | { kind: "run"; id: string }
  | { kind: "request"; event: Of<"human_loop.requested"> }
  | { kind: "seen"; event: Of<"human_loop.seen"> }
  | { kind: "answer"; event: Of<"human_loop.resolved"> }
  | { kind: "snapshot"; event: Of<"workspace.synced"> }
  | { kind: "branch"; event: Of<"workspace.kept"> };

export type Effect =
  | { type: "send_host"; message: ToHostData }
  /** The lease changed hands or ended: whatever was on its way to the old host is void. */
  | { type: "reset_link"; epoch: number | undefined }
  | { type: "ask_fleet"; request: LeaseRequest }
  | { type: "withdraw_request"; runId: string }
  | { type: "release_lease"; epoch: number }
  /** The fleet keeps what it could not carry to an end, for its operators. */
  | { type: "dead_letter"; letter: DeadLetter }
  /** The session was deleted: so are the segments of its log. */
  | { type: "forget_archive" }
  | { type: "set_deadline"; name: string; at: number }
  | { type: "clear_deadline"; name: string }
  /** `atOnce`: whoever did it looks for it in a list next. */
  | { type: "index"; what: Indexed; atOnce?: true };

/** `before` and `after` are the view without and with the event. */
export function react(before: SessionView, event: SessionEvent, after: SessionView): Effect[] {
  switch (event.type) {
    case "session.created":
    case "session.updated":
      return [{ ...index({ kind: "session" }), atOnce: true }];
    case "session.deleted":
      return [{ ...index({ kind: "session" }), atOnce: true }, { type: "forget_archive" }, ...endWorker(after)];
    case "session.prompted": {
      const runId = event.runId ?? "";
      return [
        ...indexRun(runId),
        { type: "set_deadline", name: deadlineName.queue(runId), at: event.at + TIMES.queueDeadlineMs },
        ...askFleet(after),
      ];
    }
    case "run.status":
      return reactToRunStatus(before, event, after);
    case "run.finished":
      return reactToFinish(before, event, after);
    case "human_loop.requested":
      return [index({ kind: "request", event }), index({ kind: "session" })];
    case "human_loop.seen": {
      const { requestId, expiresAt: at } = event.data;
      return [index({ kind: "seen", event }), { type: "set_deadline", name: deadlineName.expire(requestId), at }];
    }
    case "human_loop.resolved":
      return reactToAnswer(before, event);
    case "worker.status":
      return reactToWorker(before, event, after);
    case "workspace.synced":
      return [index({ kind: "snapshot", event })];
    case "workspace.kept":
      return [index({ kind: "branch", event })];
    case "usage.recorded":
      return [index({ kind: "run", id: event.runId ?? "" })];
    case "workspace.sync_decided":
      return [{ type: "send_host", message: { type: "sync.decide", choice: event.data.choice } }];
    case "workspace.sync_failed":
    case "message.delta":
    case "message.stop":
    case "todo.update":
      return [];
    default:
      return event satisfies never;
  }
}

const index = (what: Indexed): Extract<Effect, { type: "index" }> => ({ type: "index", what });
const indexRun = (id: string): Effect[] => [index({ kind: "run", id }), index({ kind: "session" })];
const clear = (...names: string[]): Effect[] => names.map((name) => ({ type: "clear_deadline", name }));

function reactToRunStatus(before: SessionView, event: Of<"run.status">, after: SessionView): Effect[] {
  const runId = event.runId ?? "";
  const run = runById(after, runId);
  const was = runById(before, runId);
  if (!run || run.state === "finished") return [];
  if (isParked(run)) return isParked(was) ? [] : [...indexRun(runId), ...clear(deadlineName.park(runId))];
  if (was?.state === run.state) return run.state === "queued" && run.attempt !== was.attempt ? askFleet(after) : [];
  const effects = indexRun(runId);
  switch (run.state) {
    case "queued":
      return [
        ...effects,
        ...clear(deadlineName.prepare(runId), deadlineName.timeout(runId), deadlineName.park(runId)),
        { type: "set_deadline", name: deadlineName.queue(runId), at: event.at + TIMES.queueDeadlineMs },
        ...askFleet(after),
      ];
    case "assigned":
      return [
        ...effects,
        ...clear(deadlineName.queue(runId), deadlineName.idle),
        { type: "set_deadline", name: deadlineName.prepare(runId), at: event.at + TIMES.prepareDeadlineMs },
        { type: "send_host", message: { type: "run.start", run: runStart(after, run) } },
      ];
    case "preparing":
      return effects;
    case "running":
      return [
        ...effects,
        ...clear(deadlineName.prepare(runId), deadlineName.park(runId)),
        // The host enforces the limit; this is the backstop for a host that does not, with room for its escalation.
        {
          type: "set_deadline",
          name: deadlineName.timeout(runId),
          at: event.at + timeoutMs(run) + TIMES.cancelDeadlineMs,
        },
      ];
    case "waiting":
      // People take the time they need: no machine timer runs while something waits for them.
      return [
        ...effects,
        ...clear(deadlineName.timeout(runId)),
        { type: "set_deadline", name: deadlineName.park(runId), at: event.at + TIMES.parkAfterMs },
      ];
    case "cancelling":
      return [
        ...effects,
        ...clear(deadlineName.prepare(runId), deadlineName.timeout(runId), deadlineName.park(runId)),
        { type: "set_deadline", name: deadlineName.cancel(runId), at: event.at + TIMES.cancelDeadlineMs },
        { type: "send_host", message: { type: "run.stop", runId, reason: event.data.detail } },
      ];
    default:
      return run satisfies never;
  }
}

function reactToFinish(before: SessionView, event: Of<"run.finished">, after: SessionView): Effect[] {
  const runId = event.runId ?? "";
  const was = runById(before, runId);
  const effects = [
    ...indexRun(runId),
    ...clear(...(["queue", "prepare", "timeout", "cancel", "park"] as const).map((kind) => deadlineName[kind](runId))),
  ];
  if (was?.state === "queued") effects.push({ type: "withdraw_request", runId });
  if (was) effects.push(...deadLetter(after, was, event));
  // Ended from here (a deadline) while the host may still be at it: tell it.
  if (
    was &&
    (was.state === "assigned" || was.state === "preparing" || was.state === "running") &&
    event.data.reason !== undefined
  ) {
    if (leaseHost(after)) effects.push({ type: "send_host", message: { type: "run.stop", runId } });
  }
  if (!activeRun(after) && queuedRuns(after).length === 0) effects.push(...nothingLeft(after, event.at));
  return [...effects, ...askFleet(after)];
}

/** What becomes of a worker whose last run is over. */
function nothingLeft({ worker, deleted }: SessionView, now: number): Effect[] {
  if (worker.state === "starting")
    return [{ type: "set_deadline", name: deadlineName.workerStart, at: now + TIMES.prepareDeadlineMs }];
  if (worker.state !== "active") return [];
  return deleted ? [stopWorker("The session was deleted.")] : [idle(now)];
}

function deadLetter(view: SessionView, run: RunView, { data, at }: Of<"run.finished">): Effect[] {
  const { outcome, reason, evidence = "" } = data;
  if (outcome !== "failed" || (reason !== "host_lost" && reason !== "container_failed")) return [];
  const { id: runId, provider, attempt: attempts, author } = run;
  const begun = run.startedAt !== undefined || run.part !== undefined || (attempts > 1 && run.retryOn !== undefined);
  const letter = {
    runId,
    sessionId: view.id,
    provider,
    reason,
    evidence,
    attempts,
    begun,
    requestedBy: author.id,
    failedAt: at,
  };
  return [{ type: "dead_letter", letter }];
}

function reactToAnswer(before: SessionView, event: Of<"human_loop.resolved">): Effect[] {
  const { requestId, scope, answers, reason } = event.data;
  const timed = before.pending.some((each) => each.requestId === requestId && each.expiresAt !== undefined);
  const indexed: Effect[] = [index({ kind: "answer", event }), index({ kind: "session" })];
  if (timed) indexed.push(...clear(deadlineName.expire(requestId)));
  // Expired here: to the provider that is a refusal. Without a reason it was the runner, whose run has ended.
  const decision = event.data.decision === "expired" && reason !== undefined ? "deny" : event.data.decision;
  if (decision === "cancelled" || decision === "expired") return indexed;
  // Its worker is on the way out: the answer goes along when the run is started again.
  if (isParked(runById(before, event.runId ?? ""))) return indexed;
  const reply = { requestId, decision, scope: scope ?? ("once" as const), answers, reason };
  return [...indexed, { type: "send_host", message: { type: "run.reply", runId: event.runId ?? "", reply } }];
}

function reactToWorker(before: SessionView, event: Of<"worker.status">, after: SessionView): Effect[] {
  const indexed = index({ kind: "session" });
  const { worker } = after;
  switch (worker.state) {
    case "cold":
      return [
        indexed,
        ...clear(deadlineName.idle, deadlineName.workerStart, deadlineName.workerStop),
        { type: "reset_link", epoch: undefined },
        ...askFleet(after),
      ];
    case "starting":
      return after.epoch === before.epoch ? [indexed] : [indexed, { type: "reset_link", epoch: after.epoch }];
    case "active": {
      const effects = [indexed, ...clear(deadlineName.workerStart, deadlineName.workerStop)];
      const run = activeRun(after);
      // It could not be saved in time and was kept; it is tried again like the first time.
      if (run && isParked(run))
        return [
          ...effects,
          { type: "set_deadline", name: deadlineName.park(run.id), at: event.at + TIMES.parkAfterMs },
        ];
      return run || queuedRuns(after).length > 0 ? effects : [...effects, idle(event.at)];
    }
    case "stopping":
      return [
        indexed,
        ...clear(deadlineName.idle, deadlineName.workerStart),
        { type: "set_deadline", name: deadlineName.workerStop, at: event.at + TIMES.stopDeadlineMs },
        // The host's own wish may cross a run on its way there: told to stop, it would end that, too [S-53].
        ...(before.worker.state === "stopping" || hasUnparkedRun(after)
          ? []
          : [stopWorker(event.data.detail ?? "idle")]),
      ];
    case "stopped":
      return [
        indexed,
        ...clear(deadlineName.idle, deadlineName.workerStart, deadlineName.workerStop),
        { type: "reset_link", epoch: undefined },
        { type: "release_lease", epoch: after.epoch },
        ...askFleet(after),
      ];
    default:
      return worker satisfies never;
  }
}

const stopWorker = (reason: string): Effect => ({ type: "send_host", message: { type: "worker.stop", reason } });

const idle = (now: number): Effect => ({ type: "set_deadline", name: deadlineName.idle, at: now + TIMES.idleStopMs });

function leaseHost(view: SessionView): string | undefined {
  return view.worker.state === "starting" || view.worker.state === "active" || view.worker.state === "stopping"
    ? view.worker.hostId
    : undefined;
}

function endWorker(view: SessionView): Effect[] {
  if (!leaseHost(view) || activeRun(view)) return [];
  return [stopWorker("The session was deleted.")];
}

/** A run waits, nothing is under way, and no host has the worker: the fleet has to find one. It dedupes by run. */
export function askFleet(view: SessionView): Effect[] {
  const run = queuedRuns(view)[0];
  if (!run || activeRun(view) || leaseHost(view)) return [];
  const warm = warmHost(view.worker, view.workspace);
  return [
    {
      type: "ask_fleet",
      request: {
        sessionId: view.id,
        runId: run.id,
        provider: run.provider,
        vmMode: view.vmMode,
        preferHostId: warm === run.failedHostId ? undefined : warm,
        lastEpoch: view.epoch,
        requestedBy: run.author.id,
        priority: run.priority,
        labels: run.labels,
        attempt: run.attempt,
        notBefore: run.nextAt,
        avoidHostId: run.failedHostId,
        traceId: run.traceId,
      },
    },
  ];
}
