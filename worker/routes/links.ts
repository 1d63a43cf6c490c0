/**
 * The two sockets that a host dials. They are authenticated by the objects, with the first frame; what is
 * checked here is only that the address names something real, so that no object is ever made for a made-up name.
 */
import { eq } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { hostIdSchema, sessionIdSchema } from "#protocol/ids.ts";
import { hosts, organizations } from "../../migrations/schema.ts";
import { allowAnyone } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import type { Env } from "../env.ts";
import { refuse } from "../errors.ts";
import { fleetObject, sessionObject } from "../objects.ts";
import { params } from "../validate.ts";
import { forwardUpgrade } from "./session-events.ts";

const FIRST_FRAME = "the first frame carries the host's token; the object checks it";
const organizationIdSchema = z.string().regex(/^org_[0-9a-z]{20}$/);

export const linkRoutes = new Hono<AppEnv>()
  .get(
    "/host/:hostId",
    describe({
      summary: "A host's control link (WebSocket); `ticket` on the first connection",
      tag: "hosts",
      answers: { 101: { description: "the link" } },
      refusals: [401, 404, 410, 426],
      open: true,
    }),
    allowAnyone(FIRST_FRAME),
    params(z.object({ hostId: hostIdSchema })),
    async (c) => {
      const { hostId } = c.req.valid("param");
      c.set("log", c.var.log.with({ hostId }));
      const [host] = await database(c.env).select().from(hosts).where(eq(hosts.id, hostId));
      if (!host) return refuse("host_not_found", "there is no such host");
      if (host.revokedAt !== null) return refuse("host_revoked", "this host was removed");
      return forwardUpgrade(c, fleetObject(c.env, host.organizationId, host.pool), "/host", {
        search: { hostId, ticket: c.req.query("ticket") },
      });
    },
  )
  .get(
    "/session/:organizationId/:sessionId",
    describe({
      summary: "A host's data link to one session (WebSocket)",
      tag: "hosts",
      answers: { 101: { description: "the link" } },
      refusals: [404, 410, 426],
      open: true,
    }),
    allowAnyone(FIRST_FRAME),
    params(z.object({ organizationId: organizationIdSchema, sessionId: sessionIdSchema })),
    async (c) => {
      const { organizationId, sessionId } = c.req.valid("param");
      c.set("log", c.var.log.with({ sessionId, organizationId }));
      if (!(await isOrganization(c.env, organizationId))) return refuse("not_found", "there is no such session");
      return forwardUpgrade(c, sessionObject(c.env, organizationId, sessionId), "/host", { search: {} });
    },
  );

/**
 * Organisations that were looked up and found; they are never removed. A host dials while a run waits for it, and a read
 * would stand in line behind everything that D1 is being told just then.
 */
const found = new Set<string>();
const FOUND_AT_MOST = 10_000;

async function isOrganization(env: Env, id: string): Promise<boolean> {
  if (found.has(id)) return true;
  const rows = await database(env).select({ id: organizations.id }).from(organizations).where(eq(organizations.id, id));
  if (rows.length > 0 && found.size < FOUND_AT_MOST) found.add(id);
  return rows.length > 0;
}
