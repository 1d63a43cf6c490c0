/**
 * What the worker asks of the objects, and the objects of each other, as plain data over RPC. Refusals are values.
 *
 * Upgrades and streams go through `fetch` with these paths on the object's stub:
 *   SessionObject   /viewer?cursor=N        WebSocket of a person's page; header x-gantry-actor: JSON of Actor,
 *                                           x-gantry-may-reply: 1 when they may answer what a run asks
 *                   /host                   WebSocket of a host's data link (authenticates itself with its first frame)
 *                   /events?cursor=N&runId= SSE; with runId it ends after its run.finished; 204: there is no more
 *   FleetObject     /host?hostId=&ticket=   WebSocket of a host's control link
 */
import type { Actor, HumanLoopReply, SessionEvent } from "./events.ts";
import type { HostRecord } from "./http.ts";
import type { PoolSettingsPatch, VersionedSettings } from "./pool-settings.ts";
import type {
  HostSweep,
  PoolReconcile,
  PoolReconciled,
  PoolStanding,
  SessionReconcile,
  SessionReconciled,
} from "./reconcile.ts";
import type { SessionView } from "./session-view.ts";
import type { Transcript } from "./transcript.ts";
import type { PromptInput } from "./viewer.ts";
import type { Provider, SyncChoice, VmMode, WaitReason } from "./vocabulary.ts";

/** An expected refusal: goes back to whoever asked. `reason` decides the HTTP status (worker/errors.ts). */
export type Rejection = { ok: false; reason: string; message: string; details?: unknown };
export type Result<T> = ({ ok: true } & T) | Rejection;

export function reject(reason: string, message: string, details?: unknown): Rejection {
  return details === undefined ? { ok: false, reason, message } : { ok: false, reason, message, details };
}

/** Every command carries who, its own id (the same id again gets the first answer), and the trace it belongs to. */
export type CommandContext = { commandId: string; actor: Actor; traceId: string };

export type CreateSession = {
  sessionId: string;
  organizationId: string;
  title: string;
  provider: Provider;
  vmMode: VmMode;
  /** The app that it belongs to for good. */
  appId?: string | undefined;
  fork?: ForkStart;
};

/** What a fork begins with: `snapshot` is its own, made by the worker from `forkedFrom`. */
export type ForkStart = {
  forkedFrom: { sessionId: string; snapshotId: string };
  snapshot: { snapshotId: string; files: number; bytes: number };
};

/** Without `runId`: the active run. Queued follow-ups stay unless `clearQueue`. */
export type StopInput = { runId?: string; clearQueue?: boolean; reason?: string };

export interface SessionRpc {
  /** Creates the session, or answers with the one that is there (same id). */
  create(input: CreateSession, context: CommandContext): Promise<Result<{ view: SessionView }>>;
  /** Queues a run. `runId` may be chosen by the caller. */
  prompt(prompt: PromptInput, context: CommandContext): Promise<Result<{ runId: string; cursor: number }>>;
  stop(input: StopInput, context: CommandContext): Promise<Result<{ state: "cancelling" | "finished" }>>;
  reply(reply: HumanLoopReply, context: CommandContext): Promise<Result<object>>;
  rename(title: string, context: CommandContext): Promise<Result<object>>;
  decideSync(input: { choice: SyncChoice; reason?: string }, context: CommandContext): Promise<Result<object>>;
  remove(context: CommandContext): Promise<Result<object>>;
  /** @param shownTo the person whom all of it is shown to now */
  view(shownTo?: Actor): Promise<Result<{ view: SessionView; cursor: number }>>;
  /** The transcript up to now; `runId` keeps only that run's messages. */
  transcript(runId?: string): Promise<Result<{ transcript: Transcript }>>;
  /** Events of one run in order, for the todo time line and the aggregate answer. */
  runEvents(runId: string, types?: readonly SessionEvent["type"][]): Promise<Result<{ events: SessionEvent[] }>>;
  commitSnapshot(input: CommitSnapshot): Promise<Result<{ snapshotId: string }>>;
  /** May this host read and write this session's packs now, or hand in what it had under a lease that it lost? */
  mayAccessStore(access: StoreAccess): Promise<Result<object>>;

  /** Others wait for the slot: an idle worker stops, saved as always. A busy one stays. */
  yieldWorker(input: { epoch: number }): Promise<Result<{ yielding: boolean }>>;
  leaseGranted(input: LeaseGrant): Promise<Result<object>>;
  /** `unlessBegun`: only when nothing was begun on that host; `lost` says whether it was. */
  leaseLost(input: LeaseLoss): Promise<Result<{ lost: boolean }>>;
  leaseWaiting(input: { runId: string; waitingFor: string }): Promise<Result<object>>;
  /** The files that the worker left on this host when it stopped are gone from there. Late news changes nothing. */
  filesRemoved(input: { hostId: string; epoch: number }): Promise<Result<object>>;

  /** The credential is worthless from now on: pages that came with it are closed with 4403, its event streams break off. */
  closeReaders(credential: string): Promise<Result<object>>;
  /** Mends what a sweep finds in this session, and says where it stands. Never makes a session. */
  reconcile(input: SessionReconcile): Promise<SessionReconciled>;
}

/** `labels`: the host's, so that the session knows which of its runs may follow on it. */
export type LeaseGrant = { hostId: string; epoch: number; labels?: Record<string, string> };

/** `lease`: the host has it now, or had it and comes with what it could not save. */
export type StoreAccess = { hostId: string; epoch?: number | undefined; lease: "held" | "lost" };
export type LeaseLoss = { epoch: number; hostId: string; reason: string; unlessBegun?: boolean };

export type CommitSnapshot = {
  hostId: string;
  epoch: number;
  snapshotId: string;
  parent?: string;
  files: number;
  bytes: number;
  bytesSent: number;
  durationMs?: number;
  traceId: string;
  /** Of a lease that was lost: beside the session's own snapshots, never the newest of them. */
  branch?: boolean;
};

export type LeaseRequest = {
  sessionId: string;
  runId: string;
  provider: Provider;
  vmMode: VmMode;
  /** The host that has the workspace warm. */
  preferHostId?: string;
  /** The highest epoch the session has seen: the next one is larger, whatever the pool remembers. */
  lastEpoch: number;
  requestedBy: string;
  /** Higher goes first; LIMITS.runPriority either way, 0 when absent. */
  priority?: number;
  /** What the host's own labels have to be. */
  labels?: Record<string, string>;
  /** The attempt that waits, and the moment before which it is not made (milliseconds since 1970). */
  attempt?: number;
  notBefore?: number;
  /** The host that failed the attempt before: taken only when no other fits. */
  avoidHostId?: string;
  traceId: string;
};

export type FleetQueueEntry = {
  runId: string;
  sessionId: string;
  provider: Provider;
  position: number;
  attempts: number;
  enqueuedAt: number;
  requestedBy: string;
  priority: number;
  waitingFor?: string;
  /** The same as one word, for counting. */
  why?: WaitReason;
  /** The next attempt is not made before (milliseconds since 1970). */
  nextAttemptAt?: number;
};
/** offered: the host was asked. held: it accepted. */
export type FleetLease = {
  sessionId: string;
  hostId: string;
  epoch: number;
  state: "offered" | "held";
  runId: string;
  since: number;
};

/** A run that its pool could not carry to an end: it failed with `host_lost` or `container_failed`. */
export type DeadLetter = {
  runId: string;
  sessionId: string;
  provider: Provider;
  reason: "host_lost" | "container_failed";
  evidence: string;
  attempts: number;
  /** Whether an attempt had begun, so that work may have been done. */
  begun: boolean;
  requestedBy: string;
  failedAt: number;
  /** The run that was made of it. */
  redrivenAs?: string;
  redrivenAt?: number;
};

/** A pool's queue as its operators see it. Times in milliseconds since 1970 on the pool's clock, which `now` tells. */
export type FleetQueue = {
  now: number;
  entries: FleetQueueEntry[];
  leases: FleetLease[];
  deadLetters: DeadLetter[];
};

export type RegisterHost = { organizationId: string; hostId: string; name: string; pool: string };

export interface FleetRpc {
  registerHost(input: { organizationId: string; hostId: string; name: string; pool: string }): Promise<Result<object>>;
  /** One-time, TIMES.ticketMs; consumed by the upgrade on /host. */
  mintTicket(hostId: string): Promise<Result<{ ticket: string }>>;
  hosts(): Promise<HostRecord[]>;
  drainHost(hostId: string): Promise<Result<object>>;
  resumeHost(hostId: string): Promise<Result<object>>;
  removeHost(hostId: string): Promise<Result<object>>;
  /** Tells every host that is connected; one that is not learns it when it comes back. */
  configureHosts(config: Record<string, unknown>): Promise<Result<object>>;
  requestLease(organizationId: string, request: LeaseRequest): Promise<Result<object>>;
  cancelRequest(input: { sessionId: string; runId: string }): Promise<Result<object>>;
  releaseLease(input: { sessionId: string; epoch: number }): Promise<Result<object>>;
  /** The host came to the session before the news of its lease: dialling the data link is accepting the offer. */
  confirmLease(input: {
    sessionId: string;
    hostId: string;
    epoch: number;
  }): Promise<Result<{ labels?: Record<string, string> }>>;
  queue(): Promise<FleetQueue>;
  /** A run of this pool has failed for good; telling it twice is telling it once. */
  deadLetter(letter: DeadLetter): Promise<Result<object>>;
  /** The run that was made of a dead letter. */
  redriven(runId: string, as: string): Promise<Result<object>>;
  /** Tries to place everything that waits; answers how many were placed. */
  drainQueue(): Promise<{ claimed: number; waiting: number }>;
  /** What the pool knows of a session; changes nothing. */
  standing(sessionId: string): Promise<PoolStanding>;
  /** Mends what a sweep finds in one batch of this pool's leases and queue entries. */
  reconcile(input: PoolReconcile): Promise<PoolReconciled>;
  /** Asks the hosts that are connected to look over what they keep; `reports` are the last ones of all. */
  sweepHosts(ask: boolean): Promise<{ asked: string[]; reports: HostSweep[] }>;
  settings(): Promise<VersionedSettings>;
  /** Changes the settings; hosts that are connected hear of it at once, the others when they come back. */
  changeSettings(pool: { organizationId: string; pool: string }, patch: PoolSettingsPatch): Promise<VersionedSettings>;
}
