/**
 * How a machine becomes a host: it trades a short-lived join token for a host id. We keep its public key and nothing
 * else. Joining again with the same key gives the same host, so an answer that got lost can be asked for again.
 */
import { and, eq, gt, isNull, sql } from "drizzle-orm";
import { newId } from "#protocol/ids.ts";
import { TIMES } from "#protocol/limits.ts";
import { hosts, joinTokens } from "../../migrations/schema.ts";
import type { Database } from "../db/database.ts";
import { refuse } from "../errors.ts";
import { newSecret, sha256Hex } from "./secrets.ts";

const NEW_TOKEN = "Make a new join token in the portal (Hosts, Add host).";
export type Joined = { hostId: string; organizationId: string; pool: string; name: string };

/** @returns the token, good for one host within `TIMES.joinTokenMs` */
export async function mintJoinToken(
  db: Database,
  { organizationId, pool, name, nowMs }: { organizationId: string; pool: string; name?: string; nowMs: number },
): Promise<{ token: string; expiresAt: number }> {
  const token = newSecret("gjt");
  const expiresAt = nowMs + TIMES.joinTokenMs;
  await db
    .insert(joinTokens)
    .values({ tokenHash: await sha256Hex(token), organizationId, pool, name, createdAt: nowMs, expiresAt });
  return { token, expiresAt };
}

/**
 * Uses the token up and registers the key.
 * @param publicKey the `x` of the Ed25519 JWK
 * @throws Refused `join_token_unknown`, `join_token_used`, `join_token_expired`, `host_revoked`
 */
export async function joinHost(
  db: Database,
  { joinToken, publicKey, name, nowMs }: { joinToken: string; publicKey: string; name: string; nowMs: number },
): Promise<Joined> {
  const tokenHash = await sha256Hex(joinToken);
  const [token] = await db.select().from(joinTokens).where(eq(joinTokens.tokenHash, tokenHash));
  if (!token) return refuse("join_token_unknown", `This join token is not known. ${NEW_TOKEN}`);
  const { organizationId, pool } = token;
  const known = await hostByKey(db, organizationId, publicKey);
  if (known?.revokedAt != null) {
    return refuse("host_revoked", "This machine's key was removed. Delete its state folder and join with a new key.");
  }
  if (token.usedAt !== null) {
    if (known && token.usedByHostId === known.id) return joined(known);
    return refuse("join_token_used", `This join token was already used. ${NEW_TOKEN}`);
  }
  if (token.expiresAt <= nowMs) return refuse("join_token_expired", `This join token has expired. ${NEW_TOKEN}`);

  const hostId = known?.id ?? newId("hst");
  const mine = and(eq(joinTokens.tokenHash, tokenHash), eq(joinTokens.usedByHostId, hostId));
  // One transaction: the token is used up exactly when the host is there. Of two that come at once, one gets the token.
  await db.batch([
    db
      .update(joinTokens)
      .set({ usedAt: nowMs, usedByHostId: hostId })
      .where(and(eq(joinTokens.tokenHash, tokenHash), isNull(joinTokens.usedAt), gt(joinTokens.expiresAt, nowMs))),
    // `insert … select` names all columns of its table, in the order of the schema.
    db
      .insert(hosts)
      .select(
        sql`select ${hostId}, ${organizationId}, ${pool}, ${token.name ?? name}, ${publicKey}, 'pending', ${nowMs},
                   null, null, null
            from ${joinTokens} where ${mine}`,
      )
      .onConflictDoNothing(),
  ]);
  const host = await hostByKey(db, organizationId, publicKey);
  if (!host || host.id !== hostId) return refuse("join_token_used", `This join token was already used. ${NEW_TOKEN}`);
  return joined(host);
}

async function hostByKey(db: Database, organizationId: string, publicKey: string) {
  const [row] = await db
    .select()
    .from(hosts)
    .where(and(eq(hosts.organizationId, organizationId), eq(hosts.publicKey, publicKey)));
  return row;
}

function joined({ id, organizationId, pool, name }: typeof hosts.$inferSelect): Joined {
  return { hostId: id, organizationId, pool, name };
}
