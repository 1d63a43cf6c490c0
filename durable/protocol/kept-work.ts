/**
 * Work that a host has and the session has not: what is known of each lease that was lost. A lost host may come back and
 * hand its files in as a snapshot beside the session's own, once, under the epoch that it lost ([P-snap-18]). Pure.
 *
 *   unknown     the host was lost; nothing says that it had anything unsaved
 *   unsaved     it was lost while there was work that no snapshot has; the files lie there
 *   preserved   it came back, and `snapshotId` has its files
 */
import type { SessionEvent } from "./events.ts";
import { isParked, type RunView } from "./run-view.ts";
import type { KeptWork, WorkerView, WorkspaceView } from "./workspace-view.ts";

/** What of a session tells whether a lease has work that is nowhere else. */
type Leased = { runs: readonly RunView[]; worker: WorkerView; epoch: number; workspace: WorkspaceView };

/** More than a session ever has; the oldest of the least use go first. */
const KEPT = 20;
const USE: Readonly<Record<KeptWork["state"], number>> = { unknown: 0, unsaved: 1, preserved: 2 };

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

/** The lease of `view` ends without the host's word that all is saved. */
export function withLostLease(view: Leased, at: number): KeptWork[] {
  const { worker, epoch, workspace } = view;
  const kept = workspace.kept ?? [];
  if (worker.state !== "starting" && worker.state !== "active" && worker.state !== "stopping") return kept;
  const lease = { hostId: worker.hostId, epoch, at };
  return bounded([
    ...kept.filter((entry) => entry.epoch !== epoch),
    hasUnsavedWork(view) ? { ...lease, state: "unsaved", base: workspace.snapshotId } : { ...lease, state: "unknown" },
  ]);
}

/** A host has handed in what it had under a lease that it lost. */
export function withPreserved(kept: readonly KeptWork[] = [], { data, at }: Of<"workspace.kept">): KeptWork[] {
  const { hostId, epoch, snapshotId, files, bytes } = data;
  const others = kept.filter((entry) => entry.epoch !== epoch);
  return bounded([...others, { hostId, epoch, at, state: "preserved", snapshotId, files, bytes }]);
}

/** `hostId` has saved: had it gone on from the very files that it had kept, they are in this snapshot. */
export function withSavedAgain(view: Leased): KeptWork[] | undefined {
  const { worker, workspace } = view;
  return workspace.kept?.map((entry) => {
    const same = "hostId" in worker && worker.hostId === entry.hostId;
    if (entry.state !== "unsaved" || !same || entry.base !== workspace.snapshotId) return entry;
    const { hostId, epoch, at } = entry;
    return { hostId, epoch, at, state: "unknown" };
  });
}

function hasUnsavedWork({ runs, workspace }: Leased): boolean {
  if (workspace.failure) return true;
  const { syncedAt = 0 } = workspace;
  return runs.some((run) => {
    if (run.state === "running" || run.state === "cancelling" || run.state === "waiting") return !isParked(run);
    return run.state === "finished" && run.startedAt !== undefined && run.finishedAt > syncedAt;
  });
}

function bounded(kept: readonly KeptWork[]): KeptWork[] {
  const surplus = kept.length - KEPT;
  if (surplus <= 0) return [...kept];
  const leastUse = [...kept].sort((a, b) => USE[a.state] - USE[b.state] || a.epoch - b.epoch).slice(0, surplus);
  return kept.filter((entry) => !leastUse.includes(entry));
}
