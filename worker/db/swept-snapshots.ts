/** What the sweep of the store reads and writes in the index of snapshots. */
import { and, eq, isNull, sql } from "drizzle-orm";
import { audit, sessions, snapshotPins, snapshots } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import type { Shelf } from "../store/keys.ts";
import type { ShelfReport, ShelfState, SnapshotRow } from "../store/sweep-plan.ts";
import { database } from "./database.ts";

type Db = Pick<Env, "DB">;
const pinned = sql<number>`exists (select 1 from ${snapshotPins} where ${snapshotPins.organizationId} = ${snapshots.organizationId}
  and ${snapshotPins.snapshotId} = ${snapshots.id})`;
const ofShelf = ({ organizationId, sessionId }: Shelf) =>
  and(eq(snapshots.organizationId, organizationId), eq(snapshots.sessionId, sessionId));

export async function snapshotsOf(env: Db, shelf: Shelf): Promise<SnapshotRow[]> {
  const { id, version, createdAt, keptFrom, prunedAt } = snapshots;
  const rows = await database(env)
    .select({ id, seq: version, createdAt, keptFrom, prunedAt, pinned })
    .from(snapshots)
    .where(ofShelf(shelf));
  return rows.map(({ prunedAt: at, pinned: is, keptFrom: host, ...row }) => {
    return { ...row, pruned: at !== null, pinned: is !== 0, branch: host !== null };
  });
}

/** `gone` when it was deleted before `deadline`. One that the index does not know was never made, or only just. */
export async function stateOfSession(env: Db, shelf: Shelf, deadline: number): Promise<ShelfState["session"]> {
  const [row] = await database(env)
    .select({ deleted: sessions.deleted, updatedAt: sessions.updatedAt })
    .from(sessions)
    .where(and(eq(sessions.organizationId, shelf.organizationId), eq(sessions.id, shelf.sessionId)));
  return row?.deleted && row.updatedAt < deadline ? "gone" : "there";
}

/** Gives up those of `ids` that nobody has pinned meanwhile (of a session that is gone: all); which they were. */
export async function pruneSnapshots(
  env: Db,
  shelf: Shelf,
  ids: readonly string[],
  session: ShelfState["session"],
  now: number,
): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await database(env)
    .update(snapshots)
    .set({ prunedAt: now })
    .where(
      and(
        ofShelf(shelf),
        isNull(snapshots.prunedAt),
        sql`${snapshots.id} in (select value from json_each(${JSON.stringify(ids)}))`,
        session === "gone" ? undefined : sql`not ${pinned}`,
      ),
    )
    .returning({ id: snapshots.id });
  return rows.map(({ id }) => id);
}

/** What went, for people who ask where it is. */
export async function recordSweep(env: Db, shelf: Shelf, report: ShelfReport, now: number): Promise<void> {
  const packs = report.removed.filter((name) => name.startsWith("packs/")).length;
  await database(env)
    .insert(audit)
    .values({
      at: now,
      organizationId: shelf.organizationId,
      actorId: "system",
      actorName: "Gantry",
      action: "store.sweep",
      target: shelf.sessionId,
      allowed: true,
      reason: `${report.pruned} snapshots given up, ${report.removed.length} objects removed (${packs} packs, ${report.freedBytes} bytes)`,
      traceId: crypto.randomUUID().replaceAll("-", ""),
    });
}
