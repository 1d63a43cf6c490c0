/**
 * The words of Gantry as closed lists. Schemas, SQL enums, transition tables and the portal are all built from
 * these, so that a new word fails to compile wherever it has not been thought about.
 */
export const PROVIDERS = ["claude-code", "codex-app-server", "opencode", "native", "acp", "scripted"] as const;
export type Provider = (typeof PROVIDERS)[number];

/** Names that other programs may use for a provider. */
export const PROVIDER_ALIASES: Readonly<Record<string, Provider>> = { "codex-cli": "codex-app-server" };

export const VM_MODES = ["docker", "firecracker", "process"] as const;
export type VmMode = (typeof VM_MODES)[number];

export const RUN_STATES = ["queued", "assigned", "preparing", "running", "waiting", "cancelling", "finished"] as const;
export type RunState = (typeof RUN_STATES)[number];

export const OUTCOMES = ["succeeded", "failed", "cancelled", "timed_out"] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why a run did not succeed. */
export const FAILURE_REASONS = [
  "auth_missing",
  "auth_rejected",
  "rate_limited",
  "overloaded",
  "model_not_found",
  "context_exceeded",
  "provider_no_output",
  "cli_missing",
  "timeout",
  "host_lost",
  "container_failed",
  "workspace_failed",
  "cancelled",
  "internal",
] as const;
export type FailureReason = (typeof FAILURE_REASONS)[number];

/** Why a run waits in its pool's queue, nearest to being solved first. `retry`: the next attempt's time has not come. */
export const WAIT_REASONS = [
  "retry",
  "slots",
  "refused",
  "labels",
  "provider",
  "vm_mode",
  "draining",
  "offline",
  "no_host",
] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

/** cold: no container anywhere. stopped: container gone, its workspace saved and still warm on `hostId`. */
/**
 * What people decide when a workspace cannot be saved: one more try now, another series of tries, or to go on from the last
 * snapshot without what was not saved (the host sets it aside).
 */
export const SYNC_CHOICES = ["retry", "extend", "discard"] as const;
export type SyncChoice = (typeof SYNC_CHOICES)[number];

export const WORKER_STATES = ["cold", "starting", "active", "stopping", "stopped"] as const;

export const HOST_STATUSES = ["pending", "online", "draining", "offline", "disabled", "failed"] as const;
export type HostStatus = (typeof HOST_STATUSES)[number];

export const READINESS = ["ready", "environment_not_ready", "runtime_unhealthy"] as const;
export type Readiness = (typeof READINESS)[number];

export const TODO_STATUSES = ["pending", "in_progress", "completed"] as const;
export type TodoStatus = (typeof TODO_STATUSES)[number];

export const HUMAN_LOOP_KINDS = ["permission", "question"] as const;
export const DECISIONS = ["allow", "deny", "answer"] as const;

/** What a person did, plus what the system does when nobody can answer any more. */
export const RESOLUTIONS = [...DECISIONS, "cancelled", "expired"] as const;

/** What a credential is for: a vendor's model API, any API that speaks like OpenAI's, or one header for one destination. */
export const CREDENTIAL_KINDS = ["anthropic", "openai", "openai-compatible", "header"] as const;
export type CredentialKind = (typeof CREDENTIAL_KINDS)[number];

/** Where an app's workers may go. */
export const NETWORK_MODES = ["none", "providers", "allowlist", "open"] as const;
export type NetworkMode = (typeof NETWORK_MODES)[number];
