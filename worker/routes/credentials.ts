/** Credentials, as administrators see and steer them. A value goes in and never comes out. */
import { and, asc, eq, isNull } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import {
  type CredentialRecord,
  createCredentialBody,
  credentialRecord,
  rotateCredentialBody,
} from "#protocol/credentials.ts";
import { credentialIdSchema, derivedId, newId } from "#protocol/ids.ts";
import { apps, credentials } from "../../migrations/schema.ts";
import { inUse } from "../apps/find.ts";
import { allow } from "../auth/allow.ts";
import { type AppContext, type AppEnv, idempotencyKey } from "../context.ts";
import { sealAtRest } from "../credentials/at-rest.ts";
import { recordAudit } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { poolsOf, withoutNulls } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { fleetObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";

const credentialPath = z.object({ id: credentialIdSchema });
const credentialAnswer = z.object({ credential: credentialRecord });
/** Fewer characters than this are not shown of a short value. */
const HINT_CHARS = 4;
const HINT_FROM_CHARS = 20;

export const credentialRoutes = new Hono<AppEnv>()
  .get(
    "/",
    describe({
      summary: "List credentials, without their values",
      tag: "organization",
      answers: {
        200: { description: "oldest first", schema: z.object({ credentials: z.array(credentialRecord) }) },
      },
    }),
    allow("credentials.admin"),
    async (c) => {
      const rows = await database(c.env)
        .select()
        .from(credentials)
        .where(and(eq(credentials.organizationId, c.var.principal.organizationId), isNull(credentials.revokedAt)))
        .orderBy(asc(credentials.createdAt), asc(credentials.id));
      return c.json({ credentials: rows.map(recordOf) });
    },
  )
  .post(
    "/",
    describe({
      summary: "Keep a credential; its value is sealed and never shown again",
      tag: "organization",
      answers: { 201: { description: "kept", schema: credentialAnswer } },
      refusals: [422],
    }),
    allow("credentials.admin"),
    jsonBody(createCredentialBody),
    async (c) => {
      const { value, ...body } = c.req.valid("json");
      const { organizationId, id: createdBy } = c.var.principal;
      if (body.appId !== undefined) await requireApp(c, body.appId);
      const key = await idempotencyKey(c);
      const id = key === undefined ? newId("crd") : await derivedId("crd", organizationId, createdBy, key);
      const row = {
        ...body,
        id,
        organizationId,
        createdBy,
        createdAt: Date.now(),
        hint: hintOf(value),
        sealed: await sealAtRest(c.env, { organizationId, credentialId: id }, value),
      };
      const [made] = await database(c.env).insert(credentials).values(row).onConflictDoNothing().returning();
      // Asked again under the same Idempotency-Key: it is there.
      if (!made) return c.json({ credential: recordOf(await changeOwn(c, id, { createdBy })) }, 201);
      await recordAudit(c, { action: "credentials.create", target: id, allowed: true });
      await tellHosts(c);
      return c.json({ credential: recordOf(made) }, 201);
    },
  )
  .post(
    "/:id/rotate",
    describe({
      summary: "Replace a credential's value; hosts that hold the old one get the new one",
      tag: "organization",
      answers: { 200: { description: "replaced", schema: credentialAnswer } },
      refusals: [404],
    }),
    allow("credentials.admin"),
    params(credentialPath),
    jsonBody(rotateCredentialBody),
    async (c) => {
      const { id } = c.req.valid("param");
      const { value } = c.req.valid("json");
      const { organizationId } = c.var.principal;
      const sealed = await sealAtRest(c.env, { organizationId, credentialId: id }, value);
      const change = { sealed, hint: hintOf(value), rotatedAt: Date.now() };
      const rotated = await changeOwn(c, id, change);
      await recordAudit(c, { action: "credentials.rotate", target: id, allowed: true });
      await tellHosts(c);
      return c.json({ credential: recordOf(rotated) });
    },
  )
  .delete(
    "/:id",
    describe({
      summary: "Revoke a credential: its sealed value is erased, and hosts forget it",
      tag: "organization",
      answers: { 200: { description: "revoked", schema: z.object({ ok: z.literal(true) }) } },
      refusals: [404],
    }),
    allow("credentials.admin"),
    params(credentialPath),
    async (c) => {
      const { id } = c.req.valid("param");
      await changeOwn(c, id, { sealed: null, revokedAt: Date.now() });
      await recordAudit(c, { action: "credentials.revoke", target: id, allowed: true });
      await tellHosts(c);
      return c.json({ ok: true as const });
    },
  );

/** @throws Refused `not_found`, also for another organisation's and for a revoked one */
async function changeOwn(c: AppContext, id: string, change: Partial<typeof credentials.$inferInsert>) {
  const [row] = await database(c.env)
    .update(credentials)
    .set(change)
    .where(
      and(
        eq(credentials.id, id),
        eq(credentials.organizationId, c.var.principal.organizationId),
        isNull(credentials.revokedAt),
      ),
    )
    .returning();
  return row ?? refuse("not_found", "there is no such credential");
}

async function requireApp(c: AppContext, appId: string): Promise<void> {
  const [app] = await database(c.env)
    .select({ id: apps.id })
    .from(apps)
    .where(and(inUse(c), eq(apps.id, appId)));
  if (!app) refuse("app_unknown", "there is no such app", { appId });
}

/**
 * Hosts that are there ask anew at once. One that is not asks when it is back; one that this does not reach
 * stops using what it has when its short life is over, so a failure here is logged and no more.
 */
async function tellHosts(c: AppContext): Promise<void> {
  const { organizationId } = c.var.principal;
  try {
    const pools = await poolsOf(c.env, organizationId);
    const told = { credentials: "changed" };
    await Promise.all(pools.map((pool) => fleetObject(c.env, organizationId, pool).configureHosts(told)));
  } catch (error) {
    c.var.log.warn("hosts_not_told", { error: String(error) });
  }
}

function hintOf(value: string): string {
  return value.length < HINT_FROM_CHARS ? "…" : `…${value.slice(-HINT_CHARS)}`;
}

function recordOf(row: typeof credentials.$inferSelect): CredentialRecord {
  const { id, kind, name, hint, appId, baseUrl, header, createdAt, rotatedAt, lastUsedAt } = row;
  return withoutNulls({ id, kind, name, hint, appId, baseUrl, header, createdAt, rotatedAt, lastUsedAt });
}
