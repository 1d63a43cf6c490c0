/**
 * Who is asking. Three kinds, told apart by what they bring:
 *
 *   person    cookie `gantry_session`
 *   service   `Authorization: Bearer gst_…`
 *   host      `Authorization: Bearer <host token>` (a JWT of ours)
 *
 * A header counts before a cookie, and a wrong header is a refusal, not a reason to look at the cookie.
 */
import { and, eq, gt, isNull } from "drizzle-orm";
import { getCookie } from "hono/cookie";
import type { Actor } from "#protocol/events.ts";
import { verifyHostToken } from "../../durable/shell/host-token.ts";
import { browserSessions, hosts, memberships, type Role, serviceTokens, users } from "../../migrations/schema.ts";
import type { AppContext } from "../context.ts";
import { database } from "../db/database.ts";
import { refuse } from "../errors.ts";
import { hostMay, type Permission, roleMay } from "./permissions.ts";
import { looksLikeSecret, sha256Hex } from "./secrets.ts";

export const SESSION_COOKIE = "gantry_session";
/** A service token's "last used" is written at most this often: it is for people, not for accounting. */
const LAST_USED_EVERY_MS = 60_000;

export type Person = {
  kind: "person";
  id: string;
  name: string;
  organizationId: string;
  role: Role;
  /** Hash of the cookie, to end this very session. */
  browserSession: string;
};
export type Service = { kind: "service"; id: string; name: string; organizationId: string; role: Role };
export type HostPrincipal = { kind: "host"; id: string; name: string; organizationId: string; pool: string };
export type Principal = Person | Service | HostPrincipal;

export function actorOf({ id, name }: Principal): Actor {
  return { id, name };
}

export function may(principal: Principal, permission: Permission): boolean {
  return principal.kind === "host" ? hostMay(permission) : roleMay(principal.role, permission);
}

/**
 * Finds out who is asking.
 * @throws Refused `unauthenticated` or, for hosts, `token_rejected`, `token_expired`, `host_revoked`
 */
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
