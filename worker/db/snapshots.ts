/** A session's snapshots in the index that the session object keeps up to date. It may lag by a moment. */
import { and, desc, eq, isNull, lt, sql } from "drizzle-orm";
import type { SnapshotRecord, SnapshotsAnswer } from "#protocol/changes.ts";
import { snapshotPins, snapshots } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import { database } from "./database.ts";
import { withoutNulls } from "./runs.ts";

/** `own`: only the session's own line, without what lost hosts have handed in. */
type SnapshotQuery = { sessionId: string; limit: number; before?: number | undefined; own?: boolean };

/** One page, newest first; `before` is the `nextBefore` of the page before. */
export async function listSnapshots(
  env: Pick<Env, "DB">,
  organizationId: string,
  { sessionId, limit, before, own }: SnapshotQuery,
): Promise<SnapshotsAnswer> {
  const { id, version, createdAt, files, bytes, runId, keptFrom, prunedAt } = snapshots;
  const pinnedBy = sql<string | null>`(select ${snapshotPins.createdByName} from ${snapshotPins}
    where ${snapshotPins.organizationId} = ${snapshots.organizationId} and ${snapshotPins.snapshotId} = ${snapshots.id}
    order by ${snapshotPins.createdAt} limit 1)`;
  const rows = await database(env)
    .select({ id, seq: version, createdAt, files, bytes, runId, keptFrom, prunedAt, pinnedBy })
    .from(snapshots)
    .where(
      and(
        eq(snapshots.organizationId, organizationId),
        eq(snapshots.sessionId, sessionId),
        before === undefined ? undefined : lt(version, before),
        own ? isNull(keptFrom) : undefined,
      ),
    )
    .orderBy(desc(version))
    .limit(limit + 1);
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    snapshots: page.map((row): SnapshotRecord => withoutNulls(row)),
    ...(rows.length > limit && last ? { nextBefore: last.seq } : {}),
  };
}

type Db = Pick<Env, "DB">;

/** The session of a snapshot, and when it was given up; undefined when the organisation has none of that id. */
export async function findSnapshot(
  env: Db,
  organizationId: string,
  id: string,
): Promise<{ sessionId: string; prunedAt: number | null } | undefined> {
  const [row] = await database(env)
    .select({ sessionId: snapshots.sessionId, prunedAt: snapshots.prunedAt })
    .from(snapshots)
    .where(and(eq(snapshots.organizationId, organizationId), eq(snapshots.id, id)));
  return row;
}

/** Keeps a snapshot for `holder`. One statement: a snapshot that was given up is not pinned, and false is the answer. */
export async function pinSnapshot(
  env: Db,
  organizationId: string,
  { id, holder, by, now }: { id: string; holder: string; by: string; now: number },
): Promise<boolean> {
  const db = database(env);
  await db.run(sql`insert into ${snapshotPins} (organization_id, snapshot_id, session_id, holder, created_by_name, created_at)
    select ${snapshots.organizationId}, ${snapshots.id}, ${snapshots.sessionId}, ${holder}, ${by}, ${now} from ${snapshots}
    where ${snapshots.organizationId} = ${organizationId} and ${snapshots.id} = ${id} and ${snapshots.prunedAt} is null
    on conflict do nothing`);
  const [pin] = await db
    .select({ at: snapshotPins.createdAt })
    .from(snapshotPins)
    .where(pinOf(organizationId, id, holder));
  return pin !== undefined;
}

export async function unpinSnapshot(
  env: Db,
  organizationId: string,
  { id, holder }: { id: string; holder: string },
): Promise<void> {
  await database(env)
    .delete(snapshotPins)
    .where(pinOf(organizationId, id, holder));
}

function pinOf(organizationId: string, id: string, holder: string) {
  const { organizationId: own, snapshotId, holder: by } = snapshotPins;
  return and(eq(own, organizationId), eq(snapshotId, id), eq(by, holder));
}
