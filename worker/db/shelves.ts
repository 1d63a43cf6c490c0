/** How much of the store each session has, and how much it may have. */
import { and, asc, eq, gt, lt, sql } from "drizzle-orm";
import { LIMITS } from "#protocol/limits.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import { organizations, storeShelves } from "../../migrations/schema.ts";
import type { Env } from "../env.ts";
import type { Shelf } from "../store/keys.ts";
import { database } from "./database.ts";

type Db = Pick<Env, "DB">;
export type StoreUsage = {
  session: { usedBytes: number; limitBytes: number };
  organization: { usedBytes: number; limitBytes: number };
};
const ofShelf = ({ organizationId, sessionId }: Shelf) =>
  and(eq(storeShelves.organizationId, organizationId), eq(storeShelves.sessionId, sessionId));

/**
 * Counts `bytes` that are about to be stored, and makes the shelf known to the sweep. One statement decides, so that many
 * uploads at once do not pass together.
 * @returns undefined, or the refusal `quota_exceeded` with which quota, how much is used, and what to do
 */
export async function reserve(env: Db, shelf: Shelf, bytes: number): Promise<Rejection | undefined> {
  const { organizationId, sessionId } = shelf;
  const db = database(env);
  const [, reserved] = await db.batch([
    db.insert(storeShelves).values({ organizationId, sessionId, bytes: 0, sweptAt: 0 }).onConflictDoNothing(),
    db
      .update(storeShelves)
      .set({ bytes: sql`${storeShelves.bytes} + ${bytes}` })
      .where(
        and(
          ofShelf(shelf),
          sql`${storeShelves.bytes} + ${bytes} <= ${limitOf(organizationId, "session")}`,
          sql`(select sum(bytes) from store_shelves where organization_id = ${organizationId}) + ${bytes} <= ${limitOf(organizationId, "organization")}`,
        ),
      )
      .returning({ bytes: storeShelves.bytes }),
  ]);
  return reserved.length > 0 ? undefined : refusalOf(await usageOf(env, shelf), bytes);
}

/** What was reserved and not stored. */
export async function release(env: Db, shelf: Shelf, bytes: number): Promise<void> {
  await database(env)
    .update(storeShelves)
    .set({ bytes: sql`max(0, ${storeShelves.bytes} - ${bytes})` })
    .where(ofShelf(shelf));
}

export async function usageOf(env: Db, shelf: Shelf): Promise<StoreUsage> {
  const { organizationId, sessionId } = shelf;
  const [row] = await database(env).all<{ session: number; used: number; mine: number; all: number }>(sql`select
    (select coalesce(sum(bytes), 0) from store_shelves where organization_id = ${organizationId} and session_id = ${sessionId}) as session,
    (select coalesce(sum(bytes), 0) from store_shelves where organization_id = ${organizationId}) as used,
    ${limitOf(organizationId, "session")} as mine, ${limitOf(organizationId, "organization")} as "all"`);
  const { session = 0, used = 0, mine = 0, all = 0 } = row ?? {};
  return {
    session: { usedBytes: session, limitBytes: mine },
    organization: { usedBytes: used, limitBytes: all },
  };
}

function limitOf(organizationId: string, of: "session" | "organization") {
  const [column, fallback] =
    of === "session"
      ? [organizations.sessionStoreBytes, LIMITS.sessionStoreBytes]
      : [organizations.organizationStoreBytes, LIMITS.organizationStoreBytes];
  return sql`coalesce((select ${column} from ${organizations} where ${organizations.id} = ${organizationId}), ${fallback})`;
}

/** The refusal, in words that say what to do. */
export function refusalOf({ session, organization }: StoreUsage, neededBytes: number): Rejection {
  const whose = session.usedBytes + neededBytes > session.limitBytes ? "session" : "organization";
  const { usedBytes, limitBytes } = whose === "session" ? session : organization;
  const todo =
    whose === "session"
      ? "Remove large files from the workspace and unpin snapshots that are not needed (their space comes back within two days)"
      : "Delete sessions that are not needed (their space comes back within two days)";
  return reject(
    "quota_exceeded",
    `The ${whose} has ${sizeText(usedBytes)} of its ${sizeText(limitBytes)} in the store, and ${sizeText(neededBytes)} more do not fit. ${todo}, or ask an administrator for a larger quota.`,
    { quota: whose, usedBytes, limitBytes, neededBytes },
  );
}

function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = bytes / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/** The shelves that were not swept since `before`, the longest unswept first. */
export async function shelvesToSweep(env: Db, before: number, limit: number): Promise<Shelf[]> {
  const { organizationId, sessionId, sweptAt } = storeShelves;
  return database(env)
    .select({ organizationId, sessionId })
    .from(storeShelves)
    .where(lt(sweptAt, before))
    .orderBy(asc(sweptAt))
    .limit(limit);
}

/** Shelves of one organisation in the order of their sessions, due or not. */
export async function shelvesOf(
  env: Db,
  organization: string,
  { after, limit }: { after: string; limit: number },
): Promise<Shelf[]> {
  const { organizationId, sessionId } = storeShelves;
  return database(env)
    .select({ organizationId, sessionId })
    .from(storeShelves)
    .where(and(eq(organizationId, organization), gt(sessionId, after)))
    .orderBy(asc(sessionId))
    .limit(limit);
}

/** Looked at, and not swept. */
export async function markTried(env: Db, shelf: Shelf, now: number): Promise<void> {
  await database(env).update(storeShelves).set({ sweptAt: now }).where(ofShelf(shelf));
}

/** Swept: what a count found. One that was empty twice, with nothing reserved in between, is forgotten. */
export async function markSwept(
  env: Db,
  shelf: Shelf,
  found: { bytes: number; now: number; empty: boolean },
): Promise<void> {
  const db = database(env);
  if (found.empty)
    await db.delete(storeShelves).where(and(ofShelf(shelf), eq(storeShelves.bytes, 0), gt(storeShelves.sweptAt, 0)));
  await db.update(storeShelves).set({ bytes: found.bytes, sweptAt: found.now }).where(ofShelf(shelf));
}
