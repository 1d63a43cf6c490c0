/**
 * The state of a session as a fold over its events. The session object, the browser and the tests use this one
 * function, so a reload and a live page cannot disagree. What was *said* is folded next door (transcript.ts): the
 * decisions need none of it, and it may be large.
 */
import type { Actor, HumanLoopRequest, SessionEvent, Todo } from "./events.ts";
import { withLostLease, withPreserved, withSavedAgain } from "./kept-work.ts";
import { LIMITS } from "./limits.ts";
import { finishedRun, isParked, type RunView, runWithAnswer, runWithStatus } from "./run-view.ts";
import type { Provider, VmMode } from "./vocabulary.ts";
import type { WorkerView, WorkspaceView } from "./workspace-view.ts";

/** `seq`: of its event; what is older has none. */
export type PendingRequest = HumanLoopRequest & { runId: string; requestedAt: number; seq?: number; seenBy?: Actor };
export type ResolvedRequest = { requestId: string; decision: string; by?: Actor; at: number };

export type SessionView = {
  id: string;
  /** The seq of the last event folded in: "I have everything up to here". */
  cursor: number;
  title: string;
  provider: Provider;
  vmMode: VmMode;
  createdBy: Actor;
  /** Whose defaults its runs get. */
  appId?: string;
  createdAt: number;
  updatedAt: number;
  deleted: boolean;
  /** In the order they were asked for; unfinished ones and the newest finished ones. */
  runs: RunView[];
  todos: { runId: string; items: Todo[] };
  pending: PendingRequest[];
  /** The newest answers, so that a second one can be told who was first. */
  resolved: ResolvedRequest[];
  worker: WorkerView;
  /** The last lease epoch this session has seen; it only grows. */
  epoch: number;
  workspace: WorkspaceView;
  /** The provider's own conversation per provider, for resuming it in the next run. */
  conversations: Partial<Record<Provider, string>>;
};

const RESOLVED_KEPT = 50;

export function emptyView(sessionId: string): SessionView {
  return {
    id: sessionId,
    cursor: 0,
    title: "",
    provider: "scripted",
    vmMode: "docker",
    createdBy: { id: "", name: "" },
    createdAt: 0,
    updatedAt: 0,
    deleted: false,
    runs: [],
    todos: { runId: "", items: [] },
    pending: [],
    resolved: [],
    worker: { state: "cold" },
    epoch: 0,
    workspace: {},
    conversations: {},
  };
}

/** The one fold. Pure; an event that is already covered by the cursor changes nothing. */
export function applyEvent(view: SessionView, event: SessionEvent): SessionView {
  if (event.seq <= view.cursor) return view;
  const next = applyChange(view, event);
  return { ...next, cursor: event.seq, updatedAt: event.at };
}

function applyChange(view: SessionView, event: SessionEvent): SessionView {
  switch (event.type) {
    case "session.created": {
      const { title, provider, vmMode, createdBy, appId } = event.data;
      const made = { ...view, title, provider, vmMode, createdBy, createdAt: event.at };
      return appId === undefined ? made : { ...made, appId };
    }
    case "session.updated":
      return { ...view, title: event.data.title };
    case "session.deleted":
      return { ...view, deleted: true };
    case "session.prompted": {
      const { text, messageId, ...rest } = event.data;
      const run: RunView = {
        ...rest,
        id: event.runId ?? "",
        messageId,
        promptSeq: event.seq,
        prompt: text,
        state: "queued",
        attempt: 1,
        queuedAt: event.at,
        traceId: event.traceId,
      };
      return { ...view, provider: event.data.provider, runs: [...view.runs, run] };
    }
    case "run.status":
      return applyRunStatus(view, event);
    case "run.finished":
      return {
        ...view,
        runs: trimFinished(updateRun(view.runs, event.runId, (run) => finishedRun(run, event))),
        pending: view.pending.filter((request) => request.runId !== event.runId),
      };
    case "message.delta":
    case "message.stop":
      return view;
    case "todo.update":
      return { ...view, todos: { runId: event.runId ?? "", items: event.data.items } };
    case "human_loop.requested": {
      const request = { ...event.data, runId: event.runId ?? "", requestedAt: event.at, seq: event.seq };
      return { ...view, pending: [...view.pending, request] };
    }
    case "human_loop.seen": {
      const { requestId, by: seenBy, expiresAt } = event.data;
      const seen = (each: PendingRequest) => (each.requestId === requestId ? { ...each, seenBy, expiresAt } : each);
      return { ...view, pending: view.pending.map(seen) };
    }
    case "human_loop.resolved": {
      const { requestId, decision, by } = event.data;
      return {
        ...view,
        runs: updateRun(view.runs, event.runId, (run) => runWithAnswer(run, event, view.pending)),
        pending: view.pending.filter((request) => request.requestId !== requestId),
        resolved: [...view.resolved, { requestId, decision, by, at: event.at }].slice(-RESOLVED_KEPT),
      };
    }
    case "worker.status":
      return applyWorkerStatus(view, event);
    case "workspace.synced": {
      const { snapshotId, files, bytes } = event.data;
      const kept = withSavedAgain(view);
      return { ...view, workspace: { snapshotId, files, bytes, syncedAt: event.at, ...(kept ? { kept } : {}) } };
    }
    case "workspace.sync_failed":
      return { ...view, workspace: { ...view.workspace, failure: { ...event.data, at: event.at } } };
    case "workspace.sync_decided":
      return { ...view, workspace: applySyncDecision(view.workspace, event) };
    case "workspace.kept":
      return { ...view, workspace: { ...view.workspace, kept: withPreserved(view.workspace.kept, event) } };
    case "usage.recorded":
      return { ...view, runs: updateRun(view.runs, event.runId, (run) => ({ ...run, usage: event.data })) };
    default:
      return event satisfies never;
  }
}

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

/** What was given up is not there to be saved any more; the other choices are tries from now on. */
function applySyncDecision({ failure, ...saved }: WorkspaceView, event: Of<"workspace.sync_decided">): WorkspaceView {
  const { choice, by, reason } = event.data;
  if (choice === "discard") return { ...saved, discarded: { by, at: event.at, reason } };
  return failure ? { ...saved, failure: { ...failure, blocked: false, nextAt: event.at } } : saved;
}

function applyRunStatus(view: SessionView, event: Of<"run.status">): SessionView {
  const { conversationId } = event.data;
  const runs = updateRun(view.runs, event.runId, (run) => runWithStatus(run, event));
  if (!conversationId) return { ...view, runs };
  const provider = runs.find((run) => run.id === event.runId)?.provider;
  return {
    ...view,
    runs,
    conversations: provider ? { ...view.conversations, [provider]: conversationId } : view.conversations,
  };
}

function applyWorkerStatus(view: SessionView, event: Of<"worker.status">): SessionView {
  const { epoch } = event.data;
  const sameLease = (epoch ?? 0) <= view.epoch && "labels" in view.worker;
  const labels = event.data.labels ?? (sameLease && "labels" in view.worker ? view.worker.labels : undefined);
  const worker = workerAfter(event, labels);
  const kept = worker.state === "cold" ? withLostLease(view, event.at) : [];
  const workspace = kept.length > 0 ? { ...view.workspace, kept } : view.workspace;
  return { ...view, worker, workspace, epoch: Math.max(view.epoch, epoch ?? 0) };
}

function workerAfter({ at, data }: Of<"worker.status">, labels: Record<string, string> | undefined): WorkerView {
  const { state, hostId, detail, warm } = data;
  if (state === "cold") return { state, detail, ...(hostId ? { removedFrom: hostId, since: at } : {}) };
  if (!hostId) return { state: "cold", detail };
  if (state === "stopped") return { state, hostId, since: at, detail, ...(warm === undefined ? {} : { warm }) };
  return { state, hostId, since: at, detail, ...(labels ? { labels } : {}) };
}

function updateRun(runs: RunView[], runId: string | undefined, change: (run: RunView) => RunView): RunView[] {
  const index = runs.findLastIndex((run) => run.id === runId);
  const run = runs[index];
  return run ? runs.with(index, change(run)) : runs;
}

function trimFinished(runs: RunView[]): RunView[] {
  const surplus = runs.filter((run) => run.state === "finished").length - LIMITS.finishedRunsInView;
  if (surplus <= 0) return runs;
  let dropped = 0;
  return runs.filter((run) => run.state !== "finished" || dropped++ >= surplus);
}

/** The run that the worker is busy with; at most one. */
export function activeRun(view: SessionView): Exclude<RunView, { state: "queued" | "finished" }> | undefined {
  for (const run of view.runs) if (run.state !== "queued" && run.state !== "finished") return run;
  return undefined;
}

/** The run that keeps the worker at work: one that is parked has let go of it. */
export function hasUnparkedRun(view: SessionView): boolean {
  const run = activeRun(view);
  return run !== undefined && !isParked(run);
}

/** Whether a run that is not over may have said something: it is under way, or waits for another attempt. */
export function hasBegunRun(view: SessionView): boolean {
  return view.runs.some(
    (run) => run.state !== "finished" && (run.state !== "queued" || run.attempt > 1 || run.part !== undefined),
  );
}

/** The runs that wait for their turn, first come first served. */
export function queuedRuns(view: SessionView): Extract<RunView, { state: "queued" }>[] {
  return view.runs.filter((run) => run.state === "queued");
}

export function runById(view: SessionView, runId: string): RunView | undefined {
  return view.runs.find((run) => run.id === runId);
}
