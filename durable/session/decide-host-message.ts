/** What a host's message means for the session. The epoch was checked before; late words about a finished run are dropped. */
import type { NewEvent, RunEvent } from "#protocol/events.ts";
import type { FromHostData } from "#protocol/messages.ts";
import { isParked, type RunView } from "#protocol/run-view.ts";
import { activeRun, applyEvent, hasUnparkedRun, runById, type SessionView } from "#protocol/session-view.ts";
import type { Asked } from "./commands.ts";
import { isEndOfParking } from "./parking.ts";
import { finishActive, holdsLease, loseHost, nextRun, tryElsewhere } from "./run-steps.ts";
import { withTimeToAnswer } from "./seen.ts";

type UnfinishedRun = Exclude<RunView, { state: "finished" }>;

export function decideHostMessage(view: SessionView, message: FromHostData, asked: Asked): NewEvent[] {
  if (!holdsLease(view)) return [];
  const { hostId } = view.worker;
  switch (message.type) {
    case "run.accepted": {
      const run = unfinished(view, message.runId);
      return run?.state === "assigned"
        ? [{ type: "run.status", runId: run.id, data: { state: "preparing", hostId } }]
        : [];
    }
    case "run.started": {
      const run = unfinished(view, message.runId);
      if (run?.state !== "assigned" && run?.state !== "preparing") return [];
      return [{ type: "run.status", runId: run.id, data: { state: "running", hostId } }];
    }
    case "run.events":
      return decideRunEvents(view, message.runId, message.events, asked);
    case "run.aborted": {
      const run = unfinished(view, message.runId);
      if (!run || run.state === "queued") return [];
      const { reason, evidence } = message;
      if (reason === "cancelled" && isParked(run)) return [];
      const retried =
        reason === "container_failed" && run.state !== "cancelling"
          ? tryElsewhere(view, run, evidence, asked.now)
          : undefined;
      if (retried) return retried;
      return finishActive(view, run, { outcome: reason === "timeout" ? "timed_out" : "failed", reason, evidence });
    }
    case "worker.status":
      return decideWorkerStatus(view, message, asked.now);
    case "sync.failed": {
      const { reason, attempt, retryInMs, blocked, files } = message;
      const nextAt = retryInMs === undefined ? undefined : asked.now + retryInMs;
      return [{ type: "workspace.sync_failed", data: { reason, attempt, nextAt, blocked, files } }];
    }
    default:
      return message satisfies never;
  }
}

function unfinished(view: SessionView, runId: string): UnfinishedRun | undefined {
  const run = runById(view, runId);
  return run && run.state !== "finished" ? run : undefined;
}

/** A batch may finish the run in its middle; what comes after that is late and is dropped. */
function decideRunEvents(view: SessionView, runId: string, events: RunEvent[], asked: Asked): NewEvent[] {
  const decided: NewEvent[] = [];
  let current = view;
  for (const event of events) {
    const run = unfinished(current, runId);
    if (!run || run.state === "queued") break;
    if (isEndOfParking(run, event)) continue;
    const happened = decideRunEvent(current, run, event);
    decided.push(...happened);
    // Only what changes the state matters to the next decision of this batch; deltas do not.
    if (event.type === "message.delta" || event.type === "message.stop") continue;
    for (const each of happened) {
      current = applyEvent(current, {
        ...each,
        v: 1,
        seq: current.cursor + 1,
        at: asked.now,
        sessionId: view.id,
        traceId: asked.traceId,
      });
    }
  }
  return decided;
}

function decideRunEvent(view: SessionView, run: UnfinishedRun, event: RunEvent): NewEvent[] {
  const runId = run.id;
  switch (event.type) {
    case "run.finished":
      return finishActive(view, run, event.data);
    case "run.status":
      return decideRunStatus(run, event.data);
    case "human_loop.requested":
      if (run.state === "cancelling" || isKnownRequest(view, event.data.requestId)) return [];
      return [{ ...event, data: withTimeToAnswer(event.data, run), runId }];
    case "human_loop.resolved":
      // The runner closes what it gave up itself; a person's answer stands.
      return view.pending.some((request) => request.requestId === event.data.requestId) ? [{ ...event, runId }] : [];
    case "message.delta":
    case "message.stop":
    case "todo.update":
    case "usage.recorded":
      return [{ ...event, runId }];
    default:
      return event satisfies never;
  }
}

function decideRunStatus(run: UnfinishedRun, data: Extract<RunEvent, { type: "run.status" }>["data"]): NewEvent[] {
  const { detail, conversationId, warning } = data;
  // A runner speaks of running and waiting; the rest is the session's to say, and a cancel is not undone by it.
  const spoken = data.state === "running" || data.state === "waiting";
  if (run.state !== "cancelling" && !spoken) return [];
  // A warning may be the host's own word, which does not know whether a person is being asked.
  const unchanged = run.state === "cancelling" || (warning && run.state === "waiting");
  const state = unchanged ? run.state : (data.state as "running" | "waiting");
  if (state === run.state && !detail && !conversationId) return [];
  return [{ type: "run.status", runId: run.id, data: { state, detail, conversationId, warning } }];
}

function isKnownRequest(view: SessionView, requestId: string): boolean {
  return (
    view.pending.some((known) => known.requestId === requestId) ||
    view.resolved.some((known) => known.requestId === requestId)
  );
}

function decideWorkerStatus(
  view: SessionView & { worker: { hostId: string } },
  { state, detail, warm: from }: Extract<FromHostData, { type: "worker.status" }>,
  now: number,
): NewEvent[] {
  const { hostId, state: known } = view.worker;
  if (state === known && !detail) return [];
  const data = { state, hostId, epoch: view.epoch, detail };
  // A worker that says "active" while it was told to stop has kept its container: the gate did not open.
  if (state !== "stopped") return [{ type: "worker.status", data }];
  const warm = from === undefined ? undefined : from !== null && from === view.workspace.snapshotId;
  const status: NewEvent = { type: "worker.status", data: { ...data, warm } };
  if (!hasUnparkedRun(view)) return [status];
  // The worker went away under a run that nobody finished: the same as losing the host, except that it is saved.
  return [
    ...loseHost(view, { reason: "The worker stopped while the run was under way.", epoch: view.epoch }, now).filter(
      (event) => event.type !== "worker.status",
    ),
    status,
  ];
}

/** Used when a stopping worker turns out to be wanted again. */
export function resumeWorker(
  view: SessionView & { worker: { hostId: string; labels?: Record<string, string> | undefined } },
): NewEvent[] {
  return [
    { type: "worker.status", data: { state: "active", hostId: view.worker.hostId, epoch: view.epoch } },
    // One that is parked keeps its turn.
    ...(activeRun(view) ? [] : nextRun(view, view.worker)),
  ];
}
