/** Hosts, as administrators see and steer them. */
import { and, asc, eq, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { type HostRecord, hostRecord, joinTokenBody } from "#protocol/http.ts";
import { hostIdSchema } from "#protocol/ids.ts";
import { hosts } from "../../migrations/schema.ts";
import { allow } from "../auth/allow.ts";
import { mintJoinToken } from "../auth/join.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { refuse, unwrap } from "../errors.ts";
import { fleetObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";

const hostPath = z.object({ id: hostIdSchema });
const okAnswer = z.object({ ok: z.literal(true) });
type HostRow = typeof hosts.$inferSelect;

export const hostRoutes = new Hono<AppEnv>()
  .get(
    "/",
    describe({
      summary: "List hosts with their live state",
      tag: "hosts",
      answers: { 200: { description: "all that were not removed", schema: z.object({ hosts: z.array(hostRecord) }) } },
    }),
    allow("hosts.read"),
    async (c) => {
      return c.json({ hosts: await listHosts(c) });
    },
  )
  .post(
    "/join-tokens",
    describe({
      summary: "Make a join token for one new host",
      tag: "hosts",
      answers: {
        201: {
          description: "`joinToken` is shown this once",
          schema: z.object({ joinToken: z.string(), expiresAt: z.number(), pool: z.string() }),
        },
      },
    }),
    allow("hosts.admin"),
    jsonBody(
      joinTokenBody.extend({
        pool: z
          .string()
          .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
          .default("default"),
      }),
    ),
    async (c) => {
      const { name, pool } = c.req.valid("json");
      const { organizationId } = c.var.principal;
      const { token, expiresAt } = await mintJoinToken(database(c.env), {
        organizationId,
        pool,
        name,
        nowMs: Date.now(),
      });
      await recordAudit(c, { action: "hosts.invite", target: pool, allowed: true });
      c.header("cache-control", "no-store");
      return c.json({ joinToken: token, expiresAt, pool }, 201);
    },
  )
  .post(
    "/:id/drain",
    describe({
      summary: "Let a host finish what it has and give it nothing new",
      tag: "hosts",
      answers: { 200: { description: "draining", schema: okAnswer } },
      refusals: [404],
    }),
    allow("hosts.admin"),
    params(hostPath),
    async (c) => {
      const { id, organizationId, pool } = await ownHost(c, c.req.valid("param").id);
      unwrap(await fleetObject(c.env, organizationId, pool).drainHost(id));
      await recordAudit(c, { action: "hosts.drain", target: id, allowed: true });
      return c.json({ ok: true as const });
    },
  )
  .post(
    "/:id/resume",
    describe({
      summary: "Let a drained host work again",
      tag: "hosts",
      answers: { 200: { description: "takes work", schema: okAnswer } },
      refusals: [404],
    }),
    allow("hosts.admin"),
    params(hostPath),
    async (c) => {
      const { id, organizationId, pool } = await ownHost(c, c.req.valid("param").id);
      unwrap(await fleetObject(c.env, organizationId, pool).resumeHost(id));
      await recordAudit(c, { action: "hosts.resume", target: id, allowed: true });
      return c.json({ ok: true as const });
    },
  )
  .delete(
    "/:id",
    describe({
      summary: "Remove a host: its key and its connections are worthless from now on",
      tag: "hosts",
      answers: { 200: { description: "removed", schema: okAnswer } },
      refusals: [404],
    }),
    allow("hosts.admin"),
    params(hostPath),
    async (c) => {
      const { id, organizationId, pool, revokedAt } = await ownHost(c, c.req.valid("param").id, "removed, too");
      // The row first: from here on the host cannot come back, so the connections that are closed next stay closed. Asked
      // again, because the second half failed, it is done again.
      await database(c.env)
        .update(hosts)
        .set({ revokedAt: revokedAt ?? Date.now(), status: "disabled" })
        .where(and(eq(hosts.id, id), eq(hosts.organizationId, organizationId)));
      const removed = await fleetObject(c.env, organizationId, pool).removeHost(id);
      // A pool that never met the host has nothing to close.
      if (!removed.ok && removed.reason !== "not_found") unwrap(removed);
      await recordAudit(c, { action: "hosts.remove", target: id, allowed: true });
      return c.json({ ok: true as const });
    },
  );

/** @throws Refused `not_found`, also for another organisation's host */
async function ownHost(c: AppContext, hostId: string, which?: "removed, too"): Promise<HostRow> {
  const [row] = await database(c.env)
    .select()
    .from(hosts)
    .where(
      and(
        eq(hosts.id, hostId),
        eq(hosts.organizationId, c.var.principal.organizationId),
        which ? undefined : isNull(hosts.revokedAt),
      ),
    );
  c.set("log", c.var.log.with({ hostId }));
  return row ?? refuse("not_found", "there is no such host");
}

/** The organisation's hosts that were not removed, with their live state. */
export async function listHosts(c: AppContext): Promise<HostRecord[]> {
  const { organizationId } = c.var.principal;
  const rows = await database(c.env)
    .select()
    .from(hosts)
    .where(and(eq(hosts.organizationId, organizationId), isNull(hosts.revokedAt)))
    .orderBy(asc(hosts.pool), asc(hosts.name), asc(hosts.id));
  const live = await liveHosts(c, [...new Set(rows.map(({ pool }) => pool))]);
  return rows.map((row) => mergeHost(row, live.get(row.id)));
}

async function liveHosts(c: AppContext, pools: string[]): Promise<Map<string, HostRecord>> {
  const { organizationId } = c.var.principal;
  const lists = await Promise.all(pools.map((pool) => fleetObject(c.env, organizationId, pool).hosts()));
  return new Map(lists.flat().map((host) => [host.id, host]));
}

/** D1 knows which hosts there are, the pool knows how they are. */
function mergeHost(row: HostRow, live: HostRecord | undefined): HostRecord {
  const { id, name, pool, createdAt } = row;
  const lastSeenAt = live?.lastSeenAt ?? row.lastSeenAt ?? undefined;
  const { status = row.status, facts, leases = 0 } = live ?? {};
  return {
    id,
    name,
    pool,
    status,
    createdAt,
    leases,
    ...(facts ? { facts } : {}),
    ...(lastSeenAt ? { lastSeenAt } : {}),
  };
}
