/**
 * Sweeping the store: gives up old snapshots and removes what nothing needs, in two phases with a grace between them
 * (worker/db/condemned.ts has the picture). What is removed was not needed when it was condemned, and is not needed now that
 * nobody can count on it any more. A shelf that cannot be read whole is left alone.
 */
import { itemTexts } from "#protocol/manifest-text.ts";
import type { SnapshotPack } from "#protocol/snapshot.ts";
import { claim, condemn, settle } from "../db/condemned.ts";
import { markSwept } from "../db/shelves.ts";
import { pruneSnapshots, snapshotsOf, stateOfSession } from "../db/swept-snapshots.ts";
import type { Env } from "../env.ts";
import { sessionObject } from "../objects.ts";
import { type Shelf, shelfPrefix } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import { loadManifestText } from "./read.ts";
import {
  GRACE_MS,
  manifestsToKeep,
  type ShelfReport,
  type ShelfState,
  snapshotsToPrune,
  unneeded,
} from "./sweep-plan.ts";

/** A claim older than this belongs to a sweep that has ended: the platform ends a scheduled call after 15 minutes. */
const ABANDONED_MS = 30 * 60_000;

export type SweepEnv = Pick<Env, "DB" | "SESSION" | "STORE">;

/** Throws StoreDamage for a snapshot that cannot be read: what it needs is then unknown, and everything stays. */
export async function sweepShelf(env: SweepEnv, store: ObjectStore, shelf: Shelf, now: number): Promise<ShelfReport> {
  const before = await look(env, store, shelf, now);
  const pruned = await pruneSnapshots(env, shelf, snapshotsToPrune(before, now), before.session, now);
  const gone = new Set(pruned);
  const snapshots = before.snapshots.map((row) => (gone.has(row.id) ? { ...row, pruned: true } : row));
  const waste = await wasteOf(store, shelf, { ...before, snapshots }, now);
  await condemn(env, shelf, waste, now);

  const claimed = await claim(env, shelf, { now, since: now - GRACE_MS, abandoned: now - ABANDONED_MS });
  const removed = claimed.length === 0 ? [] : await removeClaimed(env, store, shelf, claimed, now);
  const sizes = new Map(before.objects.map(({ name, length }) => [name, length]));
  const freedBytes = removed.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
  const left = before.objects.filter(({ name }) => !removed.includes(name));
  const keptBytes = left.filter(({ name }) => name.startsWith("packs/")).reduce((sum, { length }) => sum + length, 0);
  await markSwept(env, shelf, { bytes: keptBytes, now, empty: left.length === 0 });
  return { pruned: pruned.length, condemned: waste.length, removed, freedBytes, keptBytes };
}

/** Looks again, now that nobody can begin to count on what is claimed, and removes what is still not needed. */
async function removeClaimed(env: SweepEnv, store: ObjectStore, shelf: Shelf, claimed: string[], now: number) {
  const current = await currentSnapshot(env, shelf);
  const waste = new Set(await wasteOf(store, shelf, await look(env, store, shelf, now), now, current));
  const removed: string[] = [];
  for (const name of claimed) {
    if (waste.has(name)) {
      await store.remove(shelfPrefix(shelf) + name);
      removed.push(name);
    }
    await settle(env, shelf, [name]);
  }
  return removed;
}

async function look(env: SweepEnv, store: ObjectStore, shelf: Shelf, now: number): Promise<ShelfState> {
  const prefix = shelfPrefix(shelf);
  const objects: ShelfState["objects"][number][] = [];
  // Rows before objects: a snapshot that is committed in between is then an object without a row, and new.
  const session = await stateOfSession(env, shelf, now - GRACE_MS);
  const snapshots = await snapshotsOf(env, shelf);
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await store.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    objects.push(...page.objects.map(({ key, ...rest }) => ({ ...rest, name: key.slice(prefix.length) })));
    cursor = page.cursor;
  }
  return { session, snapshots, objects };
}

async function wasteOf(store: ObjectStore, shelf: Shelf, state: ShelfState, now: number, current?: string) {
  const kept = new Set(manifestsToKeep(state, now));
  // The session itself knows best; the index may lag.
  if (current !== undefined) kept.add(current);
  const packs = new Set<string>();
  for (const id of kept) {
    const text = await loadManifestText(store, shelf, id);
    for (const line of text === undefined ? [] : itemTexts(text, "packs"))
      packs.add((JSON.parse(line) as SnapshotPack).hash);
  }
  return unneeded(state, [...kept], packs);
}

/** @throws Error when the session does not answer: then nothing is removed */
async function currentSnapshot(env: SweepEnv, { organizationId, sessionId }: Shelf): Promise<string | undefined> {
  const answer = await sessionObject(env as Env, organizationId, sessionId).view();
  if (answer.ok) return answer.view.workspace.snapshotId;
  if (answer.reason === "gone" || answer.reason === "not_found") return undefined;
  throw new Error(`the session does not say what it needs: ${answer.reason}`);
}
