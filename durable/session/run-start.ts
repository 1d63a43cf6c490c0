/** What a host is told of a run that it is to start. Pure. */
import { TIMES } from "#protocol/limits.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { RunView } from "#protocol/run-view.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { promptAfterParking } from "./parking.ts";

/** The run's own limit in milliseconds, or the one of runs that name none. */
export function timeoutMs(run: RunView): number {
  return run.timeoutMs ?? TIMES.runTimeoutMs;
}

export function runStart(view: SessionView, run: Extract<RunView, { prompt: string }>): RunStart {
  return {
    runId: run.id,
    sessionId: view.id,
    provider: run.provider,
    model: run.model,
    prompt: run.given?.length ? promptAfterParking(run.given) : run.prompt,
    providerOptions: run.providerOptions,
    timeoutMs: timeoutMs(run),
    conversationId: view.conversations[run.provider],
    snapshotId: view.workspace.snapshotId,
    manifest: run.manifest,
    attempt: run.attempt,
    part: run.part,
    given: run.given,
    traceId: run.traceId,
  };
}
