/** Which snapshots of a session stay, and what of its shelf nothing needs. Pure. */
import type { ListedObject } from "./object-store.ts";

/** The newest ones that always stay. */
const KEPT_NEWEST = 3;
/** How long everything stays that nothing needs: longer than any upload, and today's turns can still be compared. */
export const GRACE_MS = 24 * 60 * 60_000;

export type SnapshotRow = {
  id: string;
  seq: number;
  createdAt: number;
  pruned: boolean;
  pinned: boolean;
  branch: boolean;
};
export type ShelfState = {
  /** `gone`: deleted longer than the grace ago, or never made (a fork that broke off). */
  session: "there" | "gone";
  snapshots: readonly SnapshotRow[];
  /** With names relative to the shelf: "packs/…", "snapshots/…". */
  objects: readonly (Omit<ListedObject, "key"> & { name: string })[];
};

/** What one sweep of a shelf did. `removed`: names; `condemned`: how much waits for its time. */
export type ShelfReport = {
  pruned: number;
  condemned: number;
  removed: string[];
  freedBytes: number;
  keptBytes: number;
};

/** Ids of the snapshots to give up now. A pin that comes later than this look counts all the same (worker/db/snapshots.ts). */
export function snapshotsToPrune({ session, snapshots }: ShelfState, now: number): string[] {
  const left = snapshots.filter(({ pruned }) => !pruned);
  if (session === "gone") return left.map(({ id }) => id);
  // What a lost host handed in is no newest of the session, and pushes none of them out.
  const old = left
    .filter(({ branch }) => !branch)
    .sort((a, b) => b.seq - a.seq)
    .slice(KEPT_NEWEST);
  return [...old, ...left.filter(({ branch }) => branch)]
    .filter(({ pinned, createdAt }) => !pinned && createdAt < now - GRACE_MS)
    .map(({ id }) => id);
}

/**
 * Ids of the manifests that stay: those of snapshots that were not given up, and those that the index does not know yet
 * because they were just stored.
 */
export function manifestsToKeep({ session, snapshots, objects }: ShelfState, now: number): string[] {
  const rows = new Map(snapshots.map((row) => [row.id, row]));
  return objects
    .filter(({ name }) => name.startsWith("snapshots/"))
    .filter(({ name, uploadedAt }) => {
      const row = rows.get(name.slice("snapshots/".length));
      if (row !== undefined) return !row.pruned;
      return session === "there" && uploadedAt >= now - GRACE_MS;
    })
    .map(({ name }) => name.slice("snapshots/".length));
}

/** What nothing needs, given the packs that the kept manifests need. */
export function unneeded({ objects }: ShelfState, manifests: readonly string[], packs: ReadonlySet<string>): string[] {
  const needed = new Set([...manifests.map((id) => `snapshots/${id}`), ...[...packs].map((hash) => `packs/${hash}`)]);
  return objects.map(({ name }) => name).filter((name) => !needed.has(name));
}
