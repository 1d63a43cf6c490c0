/** The first organisation and its first administrator. Safe to ask for at any time, by any number of callers at once. */
import { asc, eq, sql } from "drizzle-orm";
import { newId } from "#protocol/ids.ts";
import { memberships, organizations, users } from "../../migrations/schema.ts";
import type { Database } from "../db/database.ts";

export type Bootstrapped = { organizationId: string; userId: string };

/** The oldest owner of the oldest organisation; made when there is no organisation at all. */
export async function ensureFirstOwner(db: Database, nowMs: number): Promise<Bootstrapped> {
  return (await firstOwner(db)) ?? createFirstOwner(db, nowMs);
}

async function firstOwner(db: Database): Promise<Bootstrapped | undefined> {
  const [row] = await db
    .select({ organizationId: memberships.organizationId, userId: memberships.userId })
    .from(memberships)
    .innerJoin(organizations, eq(organizations.id, memberships.organizationId))
    .where(eq(memberships.role, "owner"))
    .orderBy(asc(organizations.createdAt), asc(organizations.id), asc(memberships.createdAt), asc(memberships.userId))
    .limit(1);
  return row;
}

/** One transaction, and each statement looks whether the first one won: two callers at once make one organisation. */
async function createFirstOwner(db: Database, nowMs: number): Promise<Bootstrapped> {
  const organizationId = newId("org");
  const userId = newId("usr");
  const won = sql`exists (select 1 from ${organizations} where ${organizations.id} = ${organizationId})`;
  // `insert … select` names all columns of its table, in the order of the schema.
  await db.batch([
    db.insert(organizations).select(
      sql`select ${organizationId}, 'My organisation', 'docker', 'scripted', null, null, ${nowMs}
            where not exists (select 1 from ${organizations})`,
    ),
    db.insert(users).select(sql`select ${userId}, 'Administrator', null, ${nowMs} where ${won}`),
    db.insert(memberships).select(sql`select ${organizationId}, ${userId}, 'owner', ${nowMs} where ${won}`),
  ]);
  const owner = await firstOwner(db);
  if (!owner)
    throw new Error("there is an organisation without an owner: give one of its members the role in the database");
  return owner;
}
