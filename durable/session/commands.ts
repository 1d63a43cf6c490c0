/** What can be asked of a session, whoever asks: a person, the fleet, the host, the store, the clock. */
import type { Actor, HumanLoopReply, NewEvent } from "#protocol/events.ts";
import type { FromHostData } from "#protocol/messages.ts";
import type { CommitSnapshot, CreateSession, Rejection } from "#protocol/objects.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import type { SyncChoice } from "#protocol/vocabulary.ts";

/** What a person says about work that could not be saved. */
export type SyncDecision = { choice: SyncChoice; reason?: string | undefined };

export type SessionCommand =
  | ({ type: "create" } & Omit<CreateSession, "sessionId" | "organizationId">)
  | { type: "prompt"; runId: string; messageId: string; prompt: PromptInput }
  | { type: "stop"; runId?: string; clearQueue?: boolean; reason?: string }
  | { type: "reply"; reply: HumanLoopReply }
  | ({ type: "decide_sync" } & SyncDecision)
  /** A person has everything up to here. */
  | { type: "saw"; cursor: number }
  | { type: "rename"; title: string }
  | { type: "remove" }
  | { type: "lease_granted"; hostId: string; epoch: number; labels?: Record<string, string> }
  /** `unlessBegun`: the host may be back soon; only a run that nobody has begun is taken from it. */
  | { type: "lease_lost"; epoch: number; reason: string; unlessBegun?: boolean | undefined }
  /** What a worker that was stopped under this epoch had left on its host is gone. */
  | { type: "files_removed"; hostId: string; epoch: number }
  | { type: "yield_worker"; epoch: number }
  | { type: "lease_waiting"; runId: string; waitingFor: string }
  | { type: "host_message"; epoch: number; message: FromHostData }
  | { type: "snapshot_committed"; commit: CommitSnapshot }
  | { type: "deadline"; name: string }
  /** A sweep looks whether the state is one that has an exit. */
  | { type: "reconcile" };

/**
 * Who asks, when (server time, milliseconds) and under which trace. `message`: the host's numbered message that it came
 * with, which is stored in one row with what it brings.
 */
export type Asked = { by: Actor; now: number; traceId: string; message?: { epoch: number; n: number } };

/** What happens because of a command, or why nothing does. */
export type Decision = { ok: true; events: NewEvent[] } | Rejection;

/** The names of a session's deadlines (SPEC [S-19]). */
export const deadlineName = {
  queue: (runId: string) => `queue:${runId}`,
  prepare: (runId: string) => `prepare:${runId}`,
  timeout: (runId: string) => `timeout:${runId}`,
  cancel: (runId: string) => `cancel:${runId}`,
  park: (runId: string) => `park:${runId}`,
  expire: (requestId: string) => `expire:${requestId}`,
  idle: "idle",
  workerStart: "worker-start",
  workerStop: "worker-stop",
} as const;

export type DeadlineKind =
  | "queue"
  | "prepare"
  | "timeout"
  | "cancel"
  | "park"
  | "expire"
  | "idle"
  | "worker-start"
  | "worker-stop";

export function parseDeadline(name: string): { kind: DeadlineKind; runId: string } {
  const colon = name.indexOf(":");
  if (colon < 0) return { kind: name as DeadlineKind, runId: "" };
  return { kind: name.slice(0, colon) as DeadlineKind, runId: name.slice(colon + 1) };
}
