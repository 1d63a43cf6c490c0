/**
 * What the daemon asks of the workspace engine. The engine keeps its scan index in `stateDir`; the store is reached
 * over HTTP (durable/protocol/snapshot.ts says how) with a token that may change while it works.
 */
export type StoreAccess = {
  /** The assignment's `storeUrl`, which is a path, made whole with the control plane's origin. */
  url: string;
  /** The host's current token. */
  token: () => string;
  epoch: number;
  /** The epoch is one that was lost: what is stored goes beside the session's own snapshots. */
  branch?: boolean;
  fetch?: typeof fetch;
};

export type SyncInput = {
  sessionId: string;
  /** The workspace on disk. */
  root: string;
  /** Where the scan index and the last snapshot's id are kept; outlives the container. */
  stateDir: string;
  /** What the control plane knows as the newest snapshot; saves reading and sending everything when `stateDir` was lost. */
  lastSnapshotId?: string;
  store: StoreAccess;
  signal?: AbortSignal;
  traceId: string;
  /** Told how many files are not as the last snapshot has them, or are not in it, as soon as that is known. */
  changedFiles?: (count: number) => void;
};
/** `omitted`: what is not in the snapshot, or not as it was; what policy leaves out is not counted. */
export type SyncResult = {
  snapshotId: string;
  files: number;
  bytes: number;
  bytesSent: number;
  changed: boolean;
  omitted: number;
};

/** Where a host keeps its warm bases (warm-base.ts). */
export type Bases = {
  folder: string;
  /** As many unused ones are kept. */
  atMost: number;
  /** The bases that workspaces of this host lie on, as folders. */
  inUse: () => ReadonlySet<string>;
};

export type RestoreInput = SyncInput & {
  snapshotId: string;
  /** Owner of what is written; absent: whoever runs the daemon. */
  owner?: { uid: number; gid: number };
  /** The host's warm bases, for the worker's owner; absent: the workspace gets files of its own. */
  bases?: Bases;
};
export type RestoreResult = { files: number; bytes: number; bytesFetched: number };

/** The store refused or failed. `retry` says whether the same sync may succeed later. */
export class StoreError extends Error {
  readonly reason: string;
  readonly retry: boolean;

  constructor(reason: string, message: string, retry: boolean) {
    super(message);
    this.name = "StoreError";
    this.reason = reason;
    this.retry = retry;
  }
}
