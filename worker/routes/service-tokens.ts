/** Service tokens: make, list, revoke. */
import { and, desc, eq, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { ROLES, serviceTokens } from "../../migrations/schema.ts";
import { allow } from "../auth/allow.ts";
import { closeSockets } from "../auth/opened-sockets.ts";
import { mintServiceToken } from "../auth/service-token.ts";
import type { AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { withoutNulls } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { jsonBody, params } from "../validate.ts";

const tokenId = z.string().regex(/^tok_[0-9a-z]{20}$/);
/** Nobody makes a token that is more than an administrator. */
const grantable = z.enum(ROLES).exclude(["owner"]);
const tokenRecord = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    createdBy: z.string(),
    createdAt: z.number(),
    lastUsedAt: z.number().optional(),
  })
  .meta({ id: "ServiceToken" });

export const serviceTokenRoutes = new Hono<AppEnv>()
  .post(
    "/",
    describe({
      summary: "Make a service token",
      tag: "account",
      answers: {
        201: { description: "`token` is shown this once", schema: z.object({ id: z.string(), token: z.string() }) },
      },
    }),
    allow("tokens.admin"),
    jsonBody(z.object({ name: z.string().trim().min(1).max(200), role: grantable.default("member") })),
    async (c) => {
      const { name, role } = c.req.valid("json");
      const { organizationId, id: createdBy } = c.var.principal;
      const made = await mintServiceToken(database(c.env), {
        organizationId,
        name,
        role,
        createdBy,
        nowMs: Date.now(),
      });
      await recordAudit(c, { action: "service_tokens.create", target: made.id, allowed: true });
      c.header("cache-control", "no-store");
      return c.json(made, 201);
    },
  )
  .get(
    "/",
    describe({
      summary: "List service tokens",
      tag: "account",
      answers: { 200: { description: "without the secrets", schema: z.object({ tokens: z.array(tokenRecord) }) } },
    }),
    allow("tokens.admin"),
    async (c) => {
      const rows = await database(c.env)
        .select()
        .from(serviceTokens)
        .where(and(eq(serviceTokens.organizationId, c.var.principal.organizationId), isNull(serviceTokens.revokedAt)))
        .orderBy(desc(serviceTokens.createdAt));
      const tokens = rows.map(({ id, name, role, createdBy, createdAt, lastUsedAt }) =>
        withoutNulls({ id, name, role, createdBy, createdAt, lastUsedAt }),
      );
      return c.json({ tokens });
    },
  )
  .delete(
    "/:id",
    describe({
      summary: "Revoke a service token",
      tag: "account",
      answers: { 200: { description: "revoked", schema: z.object({ ok: z.literal(true) }) } },
      refusals: [404],
    }),
    allow("tokens.admin"),
    params(z.object({ id: tokenId })),
    async (c) => {
      const { id } = c.req.valid("param");
      const revoked = await database(c.env)
        .update(serviceTokens)
        .set({ revokedAt: Date.now() })
        .where(
          and(
            eq(serviceTokens.id, id),
            eq(serviceTokens.organizationId, c.var.principal.organizationId),
            isNull(serviceTokens.revokedAt),
          ),
        )
        .returning({ id: serviceTokens.id });
      if (revoked.length === 0) refuse("not_found", "there is no such service token");
      await closeSockets(c, id);
      await recordAudit(c, { action: "service_tokens.revoke", target: id, allowed: true });
      return c.json({ ok: true as const });
    },
  );
