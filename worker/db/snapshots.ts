/** A session's snapshots in the index that the session object keeps up to date. It may lag by a moment. */
import { and, desc, eq, lt } from "drizzle-orm";
import type { SnapshotRecord, SnapshotsAnswer } from "#protocol/changes.ts";
import { snapshots } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import { database } from "./database.ts";
import { withoutNulls } from "./runs.ts";

/** One page, newest first; `before` is the `nextBefore` of the page before. */
export async function listSnapshots(
  env: Pick<Env, "DB">,
  organizationId: string,
  { sessionId, limit, before }: { sessionId: string; limit: number; before?: number | undefined },
): Promise<SnapshotsAnswer> {
  const { id, version, createdAt, files, bytes, runId } = snapshots;
  const rows = await database(env)
    .select({ id, seq: version, createdAt, files, bytes, runId })
    .from(snapshots)
    .where(
      and(
        eq(snapshots.organizationId, organizationId),
        eq(snapshots.sessionId, sessionId),
        before === undefined ? undefined : lt(version, before),
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
