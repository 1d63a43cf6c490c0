/** Where a session's files are, as its events say: the worker that has them, and what of them is safe. */
import type { Actor } from "./events.ts";

export type WorkerView =
  /** No container anywhere. `removedFrom`: the host that had the files warm, until `since`. */
  | { state: "cold"; detail?: string; removedFrom?: string; since?: number }
  | {
      state: "starting" | "active" | "stopping";
      hostId: string;
      since: number;
      detail?: string;
      /** The host's labels as they were when it got the lease. */
      labels?: Record<string, string>;
    }
  /** Saved and gone; `hostId` still has the files warm, unless `warm` says that it has not. */
  | { state: "stopped"; hostId: string; since: number; detail?: string; warm?: boolean };

export type WorkspaceView = {
  /** The newest snapshot that is safely in the store. */
  snapshotId?: string;
  files?: number;
  bytes?: number;
  syncedAt?: number;
  failure?: { reason: string; attempt: number; at: number; nextAt?: number; blocked?: boolean; files?: number };
  /** Work that was not saved was given up; it lies on the host, set aside. Until the next snapshot. */
  discarded?: { by: Actor; at: number; reason?: string };
  /** Of leases that were lost: what their hosts may still have, or have handed in since. Oldest first. */
  kept?: KeptWork[];
};

/** Of a lease that was lost (kept-work.ts). */
export type KeptWork = { hostId: string; epoch: number; at: number } & (
  | { state: "unknown" }
  /** `base`: the session's newest snapshot when the host was lost. */
  | { state: "unsaved"; base?: string | undefined }
  | { state: "preserved"; snapshotId: string; files: number; bytes?: number | undefined }
);

/** The host that has the files of the newest snapshot on its disk, though no worker. What was given up there is not theirs. */
export function warmHost(worker: WorkerView, { discarded }: WorkspaceView): string | undefined {
  return worker.state === "stopped" && (worker.warm ?? !discarded) ? worker.hostId : undefined;
}
