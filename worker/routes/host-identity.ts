/** The two requests of a host that has no token yet: joining, and connecting. */
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { encryptionKeySchema } from "#protocol/credentials.ts";
import { connectAnswer, connectBody, joinAnswer, joinBody } from "#protocol/http.ts";
import { hostIdSchema } from "#protocol/ids.ts";
import { mintHostToken } from "../../durable/shell/host-token.ts";
import { hosts } from "../../migrations/schema.ts";
import { allowAnyone } from "../auth/allow.ts";
import { verifyAssertion } from "../auth/assertion.ts";
import { joinHost } from "../auth/join.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAuditOf } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { trustedOrigins } from "../env.ts";
import { refuse, unwrap } from "../errors.ts";
import { fleetObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";

type Host = typeof hosts.$inferSelect;

export const hostIdentityRoutes = new Hono<AppEnv>()
  .post(
    "/join",
    describe({
      summary: "Become a host: trade a join token for a host id",
      tag: "hosts",
      answers: { 200: { description: "the host; the same key again gives the same one", schema: joinAnswer } },
      refusals: [401, 410],
      open: true,
    }),
    allowAnyone("the join token is the credential"),
    jsonBody(joinBody),
    async (c) => {
      const { joinToken, publicKey, name } = c.req.valid("json");
      const host = await joinHost(database(c.env), { joinToken, publicKey: publicKey.x, name, nowMs: Date.now() });
      const { hostId, organizationId, pool } = host;
      c.set("log", c.var.log.with({ hostId, organizationId }));
      // After the row: a host whose answer gets lost here asks again with the same token and key, and passes here again.
      unwrap(
        await fleetObject(c.env, organizationId, pool).registerHost({ organizationId, hostId, name: host.name, pool }),
      );
      const actor = { id: hostId, name: host.name };
      await recordAuditOf(c, organizationId, actor, { action: "hosts.join", target: hostId, allowed: true });
      return c.json({ hostId, organizationId, pool });
    },
  )
  .post(
    "/:id/connect",
    describe({
      summary: "Trade a signed assertion for a ticket and a token",
      tag: "hosts",
      answers: { 200: { description: "where to dial, and with which token", schema: connectAnswer } },
      refusals: [401, 404, 410],
      open: true,
    }),
    allowAnyone("the host's signature is the credential"),
    params(z.object({ id: hostIdSchema })),
    jsonBody(connectBody),
    async (c) => {
      const db = database(c.env);
      const [host] = await db
        .select()
        .from(hosts)
        .where(eq(hosts.id, c.req.valid("param").id));
      if (!host) return refuse("host_unknown", "this host is not known here; run `gantry host join` again");
      const nowMs = Date.now();
      const claims = await verifyAssertion(db, host, c.req.valid("json").assertion, {
        audiences: trustedOrigins(c.req.url, c.env),
        nowMs,
      });
      // Only now: whether a host was removed is told to that host and to nobody else.
      if (host.revokedAt !== null) return refuse("host_revoked", "this host was removed; join with a new key");
      const ticket = await mintTicket(c, host);
      const seen = { lastSeenAt: nowMs, ...encryptionKeyOf(claims) };
      await db.update(hosts).set(seen).where(eq(hosts.id, host.id));
      const token = await mintHostToken(c.env.SIGNING_KEY, {
        hostId: host.id,
        organizationId: host.organizationId,
        pool: host.pool,
        nowMs,
      });
      const address = hostLinkUrl(c.req.url, host.id);
      c.header("cache-control", "no-store");
      return c.json({
        connect_url: `${address}?ticket=${encodeURIComponent(ticket)}`,
        reconnect_url: address,
        token: token.token,
        expires_at: token.expiresAt,
      });
    },
  );

/** The key that credentials are sealed to. It is inside of what the host has signed, so it is the host's own word. */
function encryptionKeyOf(claims: Record<string, unknown>): { encryptionKey?: string } {
  const key = encryptionKeySchema.safeParse(claims.enc_key);
  return key.success ? { encryptionKey: JSON.stringify(key.data) } : {};
}

/** D1 says that the host exists. A pool that does not know it yet (or any more) is told first. */
async function mintTicket(c: AppContext, { id: hostId, organizationId, pool, name }: Host): Promise<string> {
  const fleet = fleetObject(c.env, organizationId, pool);
  const first = await fleet.mintTicket(hostId);
  if (first.ok) return first.ticket;
  if (first.reason !== "not_found") return refuse(first.reason, first.message);
  unwrap(await fleet.registerHost({ organizationId, hostId, name, pool }));
  return unwrap(await fleet.mintTicket(hostId)).ticket;
}

function hostLinkUrl(requestUrl: string, hostId: string): string {
  const url = new URL(`/api/link/host/${hostId}`, requestUrl);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
