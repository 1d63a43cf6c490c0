/** Where the files of a session are, and what its next prompt does with them. Pure; portal and API say it alike. */
import type { HostRecord } from "./http.ts";
import type { HostStatus } from "./vocabulary.ts";
import { type WorkerView, type WorkspaceView, warmHost } from "./workspace-view.ts";

export type Whereabouts =
  /** No snapshot was ever made; whatever the next prompt finds, it was not promised. */
  | { files: "none" }
  /** A worker has them, and takes the next prompt. */
  | { files: "worker"; hostId: string }
  /** On the host's disk as they are in the store. `host`: how it is, "removed" when it is none of ours any more. */
  | { files: "warm"; hostId: string; host?: HostStatus | "removed"; snapshotId: string; next?: "start" | "restore" }
  /** Warm nowhere that is known. `removedFrom`: the host that had them warm until it removed them. */
  | { files: "store"; snapshotId: string; removedFrom?: string; next: "restore" };

/**
 * @param hosts all that were not removed; undefined while they are not known, and then nothing is said of what depends on them
 */
export function whereabouts(
  { worker, workspace }: { worker: WorkerView; workspace: WorkspaceView },
  hosts?: readonly Pick<HostRecord, "id" | "status">[],
): Whereabouts {
  if (worker.state !== "cold" && worker.state !== "stopped") return { files: "worker", hostId: worker.hostId };
  const { snapshotId } = workspace;
  if (snapshotId === undefined) return { files: "none" };
  const hostId = warmHost(worker, workspace);
  if (hostId === undefined) {
    const removedFrom = worker.state === "cold" ? worker.removedFrom : undefined;
    return { files: "store", snapshotId, ...(removedFrom === undefined ? {} : { removedFrom }), next: "restore" };
  }
  if (hosts === undefined) return { files: "warm", hostId, snapshotId };
  const host = hosts.find(({ id }) => id === hostId)?.status ?? "removed";
  return { files: "warm", hostId, host, snapshotId, next: host === "online" ? "start" : "restore" };
}
