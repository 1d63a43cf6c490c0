/** Finds out who is asking, by what they bring (principal.ts). */
import { and, eq, gt, isNull } from "drizzle-orm";
import { getCookie } from "hono/cookie";
import { verifyHostToken } from "../../durable/shell/host-token.ts";
import { browserSessions, hosts, memberships, serviceTokens, users } from "../../migrations/schema.ts";
import type { AppContext } from "../context.ts";
import { database } from "../db/database.ts";
import { refuse } from "../errors.ts";
import type { HostPrincipal, Person, Principal, Service } from "./principal.ts";
import { looksLikeSecret, sha256Hex } from "./secrets.ts";

export const SESSION_COOKIE = "gantry_session";
/** A service token's "last used" is written at most this often: it is for people, not for accounting. */
const LAST_USED_EVERY_MS = 60_000;

/** @throws Refused `unauthenticated` or, for hosts, `token_rejected`, `token_expired`, `host_revoked` */
export async function authenticate(c: AppContext): Promise<Principal> {
  const header = c.req.header("authorization");
  if (header !== undefined) {
    const bearer = /^Bearer +(\S+)$/i.exec(header)?.[1];
    if (bearer && looksLikeSecret("gst", bearer)) return authenticateService(c, bearer);
    if (bearer && bearer.split(".").length === 3) return authenticateHost(c, bearer);
    return refuse("unauthenticated", "this Authorization header is not a service token");
  }
  const cookie = getCookie(c, SESSION_COOKIE);
  if (cookie && looksLikeSecret("gbs", cookie)) return authenticatePerson(c, cookie);
  return refuse("unauthenticated", "sign in, or send Authorization: Bearer with a service token");
}

async function authenticatePerson(c: AppContext, cookie: string): Promise<Person> {
  const tokenHash = await sha256Hex(cookie);
  const [row] = await database(c.env)
    .select({
      id: users.id,
      name: users.name,
      organizationId: memberships.organizationId,
      role: memberships.role,
    })
    .from(browserSessions)
    .innerJoin(users, eq(users.id, browserSessions.userId))
    .innerJoin(
      memberships,
      and(
        eq(memberships.userId, browserSessions.userId),
        eq(memberships.organizationId, browserSessions.organizationId),
      ),
    )
    .where(and(eq(browserSessions.tokenHash, tokenHash), gt(browserSessions.expiresAt, Date.now())));
  if (!row) return refuse("unauthenticated", "your session has ended: sign in again");
  return { kind: "person", ...row, browserSession: tokenHash };
}

async function authenticateService(c: AppContext, token: string): Promise<Service> {
  const db = database(c.env);
  const [row] = await db
    .select()
    .from(serviceTokens)
    .where(and(eq(serviceTokens.tokenHash, await sha256Hex(token)), isNull(serviceTokens.revokedAt)));
  if (!row) return refuse("unauthenticated", "this service token is unknown or was revoked");
  const now = Date.now();
  if ((row.lastUsedAt ?? 0) < now - LAST_USED_EVERY_MS) {
    c.executionCtx.waitUntil(
      db.update(serviceTokens).set({ lastUsedAt: now }).where(eq(serviceTokens.id, row.id)).run(),
    );
  }
  return { kind: "service", id: row.id, name: row.name, organizationId: row.organizationId, role: row.role };
}

async function authenticateHost(c: AppContext, token: string): Promise<HostPrincipal> {
  const claims = await verifyHostToken(c.env.SIGNING_KEY, token, Date.now());
  if (!claims.ok) return refuse(claims.reason, claims.message);
  const [row] = await database(c.env)
    .select({ name: hosts.name, pool: hosts.pool, revokedAt: hosts.revokedAt })
    .from(hosts)
    .where(and(eq(hosts.id, claims.hostId), eq(hosts.organizationId, claims.organizationId)));
  if (!row) return refuse("host_unknown", "this host is not known here");
  if (row.revokedAt !== null) return refuse("host_revoked", "this host was removed");
  return { kind: "host", id: claims.hostId, organizationId: claims.organizationId, pool: row.pool, name: row.name };
}
