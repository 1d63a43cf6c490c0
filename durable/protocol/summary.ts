/** What lists and indexes show of a session and of a run: derived from the view, never stored beside it. */
import type { RunRecord, SessionSummary } from "./http.ts";
import type { RunView } from "./run-view.ts";
import { activeRun, queuedRuns, type SessionView } from "./session-view.ts";

export function summarize(view: SessionView): SessionSummary {
  const { id, title, provider, vmMode, createdBy, createdAt, updatedAt } = view;
  const activity = activeRun(view)?.state ?? (queuedRuns(view).length > 0 ? "queued" : "idle");
  return {
    id,
    title,
    provider,
    vmMode,
    createdBy,
    createdAt,
    updatedAt,
    activity,
    needsAttention: view.pending.length > 0,
    workerState: view.worker.state,
  };
}

export function runRecordOf(sessionId: string, run: RunView): RunRecord {
  const { id, state, provider, model, attempt, redriveOf, usage, queuedAt, startedAt } = run;
  const base = { id, sessionId, state, provider, model, attempts: attempt, redriveOf, usage, queuedAt, startedAt };
  if (run.state !== "finished") return { ...base, detail: run.detail };
  const { outcome, reason, evidence, finishedAt } = run;
  return { ...base, outcome, reason, evidence, finishedAt };
}
