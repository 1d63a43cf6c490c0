/** Which two snapshots a page of changes is about, from its address and the list of snapshots. */
import type { SnapshotRecord } from "#protocol/changes.ts";

/** What the address says. Nothing: the last run. */
export type ScopeSearch = { scope?: "all"; run?: string; from?: string; to?: string };

export type Scope = {
  kind: "run" | "all" | "between";
  /** Absent: before the first snapshot. */
  from?: string;
  /** Absent: nothing was saved that would belong to it, so nothing changed. */
  to?: string;
  /** When the older snapshot was made, in milliseconds since 1970; absent when that is not known or there is none. */
  since?: number;
  /** When the first of the two that is no longer kept was given up: then there is nothing to compare. */
  prunedAt?: number;
};

/**
 * @param snapshots newest first
 * @param lastRun the newest run that has started
 */
export function scopeOf(search: ScopeSearch, snapshots: readonly SnapshotRecord[], lastRun?: string): Scope {
  const scope = spanOf(search, snapshots, lastRun);
  const pruned = snapshots.findLast(
    ({ id, prunedAt }) => prunedAt !== undefined && scope.to !== undefined && (id === scope.from || id === scope.to),
  );
  return { ...scope, ...(pruned?.prunedAt === undefined ? {} : { prunedAt: pruned.prunedAt }) };
}

function spanOf(search: ScopeSearch, snapshots: readonly SnapshotRecord[], lastRun?: string): Scope {
  const sinceOf = (id: string | undefined) => withSince(snapshots.find((snapshot) => snapshot.id === id));
  if (search.from !== undefined || search.to !== undefined) {
    const to = search.to || snapshots[0]?.id;
    return { kind: "between", ...pair(search.from || undefined, to), ...sinceOf(search.from) };
  }
  if (search.scope === "all") {
    // Files come from runs; a first snapshot that followed none is what a fork began with.
    const began = snapshots.at(-1)?.runId === undefined;
    // When that one is no longer kept, the oldest that is comes closest to it.
    const start = began ? snapshots.findLast(({ prunedAt }) => prunedAt === undefined) : undefined;
    return { kind: "all", ...pair(start?.id, snapshots[0]?.id), ...withSince(start) };
  }
  const run = search.run ?? lastRun;
  const own = snapshots.filter((snapshot) => snapshot.runId === run && run !== undefined);
  const newest = own[0];
  // What was there before the run: the snapshot below its oldest one.
  const before = newest ? snapshots[snapshots.indexOf(own.at(-1) ?? newest) + 1] : snapshots[0];
  return { kind: "run", ...pair(before?.id, newest?.id), ...withSince(before) };
}

function pair(from: string | undefined, to: string | undefined): { from?: string; to?: string } {
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

function withSince(snapshot: SnapshotRecord | undefined): { since?: number } {
  return snapshot ? { since: snapshot.createdAt } : {};
}
