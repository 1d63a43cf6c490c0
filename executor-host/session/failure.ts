/** Failures that end a run: a reason from the wire's list, and evidence for whoever reads it. */
import type { FailureReason } from "#protocol/vocabulary.ts";
import { type WorkerExit, WorkerStartError } from "../container/port.ts";
import { StoreError } from "../workspace/port.ts";

const EVIDENCE_CHARS = 1_900;

export class RunFailed extends Error {
  readonly reason: FailureReason;

  constructor(reason: FailureReason, evidence: string) {
    super(evidence.slice(0, EVIDENCE_CHARS));
    this.name = "RunFailed";
    this.reason = reason;
  }
}

/** What a failed preparation means for the run that waited for it. */
export function preparationFailure(error: unknown): RunFailed {
  if (error instanceof RunFailed) return error;
  if (error instanceof WorkerStartError) {
    return new RunFailed("container_failed", `${error.message} ${error.evidence}`.trim());
  }
  if (error instanceof StoreError) return new RunFailed("workspace_failed", `${error.reason}: ${error.message}`);
  return new RunFailed("internal", `The host could not prepare the worker: ${messageOf(error)}`);
}

/** The engine's word on a worker that ended, as a sentence. */
export function exitEvidence({ exitCode, outOfMemory, signal }: WorkerExit): string {
  if (outOfMemory) return `The container ran out of memory and was killed (exit code ${exitCode}, OOMKilled).`;
  if (exitCode < 0) return "The container is gone; nobody saw how it ended.";
  return `The container ended while the run was active (exit code ${exitCode}${signal ? `, ${signal}` : ""}).`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
