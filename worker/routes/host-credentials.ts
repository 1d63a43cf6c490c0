/** What a host may have: which kinds of credentials there are, and those of a session whose lease it holds. */
import { and, eq, inArray, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { credentialKindsAnswer, deliveryAnswer, deliveryRequest } from "#protocol/credentials.ts";
import { hostIdSchema } from "#protocol/ids.ts";
import { credentials } from "../../migrations/schema.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { deliver } from "../credentials/deliver.ts";
import { database } from "../db/database.ts";
import { describe } from "../describe.ts";
import { refuse, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";

const hostPath = z.object({ id: hostIdSchema });

export const hostCredentialRoutes = new Hono<AppEnv>()
  .get(
    "/:id/credentials",
    describe({
      summary: "Which kinds of credentials there are for this host's sessions",
      tag: "hosts",
      answers: { 200: { description: "kinds alone", schema: credentialKindsAnswer } },
      refusals: [404],
    }),
    allow("host.link"),
    params(hostPath),
    async (c) => {
      requireSelf(c, c.req.valid("param").id);
      const rows = await database(c.env)
        .selectDistinct({ kind: credentials.kind })
        .from(credentials)
        .where(and(eq(credentials.organizationId, c.var.principal.organizationId), isNull(credentials.revokedAt)));
      return c.json({ kinds: rows.map(({ kind }) => kind).sort() });
    },
  )
  .post(
    "/:id/credentials",
    describe({
      summary: "A leased session's credentials, sealed to this host, and its network policy",
      tag: "hosts",
      answers: { 200: { description: "`sealed` opens with the host's own key alone", schema: deliveryAnswer } },
      refusals: [404, 409, 422],
    }),
    allow("host.link"),
    params(hostPath),
    jsonBody(deliveryRequest),
    async (c) => {
      const { id: hostId } = c.req.valid("param");
      const { sessionId, epoch, used } = c.req.valid("json");
      requireSelf(c, hostId);
      c.set("log", c.var.log.with({ sessionId }));
      const session = sessionObject(c.env, c.var.principal.organizationId, sessionId);
      unwrap(await session.mayAccessStore({ hostId, epoch, lease: "held" }));
      await markUsed(c, used);
      c.header("cache-control", "no-store");
      return c.json(await deliver(c, { hostId, sessionId, epoch }));
    },
  );

function requireSelf(c: AppContext, hostId: string): void {
  if (c.var.principal.id !== hostId) refuse("not_found", "there is nothing with this id");
}

/** Server time: a host's clock may be wrong, and a minute's precision is enough for people. */
async function markUsed(c: AppContext, used: string[]): Promise<void> {
  if (used.length === 0) return;
  await database(c.env)
    .update(credentials)
    .set({ lastUsedAt: Date.now() })
    .where(and(eq(credentials.organizationId, c.var.principal.organizationId), inArray(credentials.id, used)));
}
