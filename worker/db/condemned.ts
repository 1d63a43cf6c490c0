/**
 * What the sweep of the store is about to remove, as rows, so that it never removes what somebody counts on:
 *
 *   nothing needs it ── condemn ──► since ── a grace later: claim ──► claimed ── still not needed: removed
 *                                     │                                │
 *   somebody counts on it:          row gone                       is told: it is as good as gone
 *
 * D1 runs one statement after the other: of `claim` and `countOn` one comes first, and the other sees it.
 */
import { and, eq, isNull, lt, or, sql } from "drizzle-orm";
import { condemnedObjects as table } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import type { Shelf } from "../store/keys.ts";
import { database } from "./database.ts";

type Db = Pick<Env, "DB">;
const ofShelf = ({ organizationId, sessionId }: Shelf) =>
  and(eq(table.organizationId, organizationId), eq(table.sessionId, sessionId));
/** D1 takes 100 parameters; a list travels as one. */
const among = (names: readonly string[]) =>
  sql`${table.name} in (select value from json_each(${JSON.stringify(names)}))`;

/** Takes `names` off the list; gives those that are already being removed, which nobody may count on. */
export async function countOn(env: Db, shelf: Shelf, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set();
  const db = database(env);
  const [, claimed] = await db.batch([
    db.delete(table).where(and(ofShelf(shelf), among(names), isNull(table.claimedAt))),
    db
      .select({ name: table.name })
      .from(table)
      .where(and(ofShelf(shelf), among(names))),
  ]);
  return new Set(claimed.map(({ name }) => name));
}

/** Nothing needs these; those that are on the list stay there with their time. All others that are not claimed leave it. */
export async function condemn(env: Db, shelf: Shelf, names: readonly string[], now: number): Promise<void> {
  const { organizationId, sessionId } = shelf;
  const db = database(env);
  await db.delete(table).where(and(ofShelf(shelf), sql`not ${among(names)}`, isNull(table.claimedAt)));
  if (names.length === 0) return;
  await db.run(sql`insert into ${table} (organization_id, session_id, name, since)
    select ${organizationId}, ${sessionId}, value, ${now} from json_each(${JSON.stringify(names)}) where true
    on conflict do nothing`);
}

/** Claims what has been on the list since before `since`, and what a sweep that claimed it before `abandoned` has left. */
export async function claim(
  env: Db,
  shelf: Shelf,
  { now, since, abandoned }: { now: number; since: number; abandoned: number },
): Promise<string[]> {
  const rows = await database(env)
    .update(table)
    .set({ claimedAt: now })
    .where(and(ofShelf(shelf), lt(table.since, since), or(isNull(table.claimedAt), lt(table.claimedAt, abandoned))))
    .returning({ name: table.name });
  return rows.map(({ name }) => name);
}

/** Removed, or needed after all: off the list. */
export async function settle(env: Db, shelf: Shelf, names: readonly string[]): Promise<void> {
  if (names.length > 0)
    await database(env)
      .delete(table)
      .where(and(ofShelf(shelf), among(names)));
}
