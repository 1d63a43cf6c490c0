/** Apps: what a caller may use, registering one, and deleting it. */
import { and, asc, eq, isNull, sql } from "drizzle-orm";
import { Hono } from "hono";
import { z } from "zod";
import { appRecord, registerAppBody, runtimeDefaultsSchema } from "#protocol/apps.ts";
import { appIdSchema, newId } from "#protocol/ids.ts";
import { apps, credentials } from "../../migrations/schema.ts";
import { type AppRow, inUse, sees } from "../apps/find.ts";
import { allow } from "../auth/allow.ts";
import { may } from "../auth/principal.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { database } from "../db/database.ts";
import { withoutNulls } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { jsonBody, params } from "../validate.ts";

export const appRoutes = new Hono<AppEnv>()
  .get(
    "/store",
    describe({
      summary: "The apps that the caller may see",
      tag: "organization",
      answers: { 200: { description: "by name", schema: z.object({ apps: z.array(appRecord) }) } },
    }),
    allow("apps.read"),
    async (c) => {
      const rows = await database(c.env).select().from(apps).where(inUse(c)).orderBy(asc(apps.name));
      return c.json({ apps: rows.filter((row) => sees(c, row)).map((row) => recordOf(c, row)) });
    },
  )
  .post(
    "/register",
    describe({
      summary: "Register an app, or change the one of this name",
      tag: "organization",
      answers: { 200: { description: "as it is now", schema: z.object({ app: appRecord }) } },
      refusals: [422],
    }),
    allow("apps.admin"),
    jsonBody(registerAppBody),
    async (c) => {
      const body = c.req.valid("json");
      const { organizationId, id: createdBy } = c.var.principal;
      const { credentialId } = body.runtimeDefaults;
      if (credentialId !== undefined) await requireCredential(c, credentialId);
      const now = Date.now();
      const [row] = await database(c.env)
        .insert(apps)
        .values({ ...body, id: newId("app"), organizationId, createdBy, createdAt: now, updatedAt: now })
        .onConflictDoUpdate({
          target: [apps.organizationId, apps.name],
          targetWhere: sql`deleted_at is null`,
          set: { ...body, updatedAt: now },
        })
        .returning();
      if (!row) throw new Error("an upsert answers its row");
      await recordAudit(c, { action: "apps.register", target: row.id, allowed: true });
      return c.json({ app: recordOf(c, row) });
    },
  )
  .delete(
    "/:id",
    describe({
      summary: "Delete an app: nothing new begins with it; the sessions that were made with it keep its rules",
      tag: "organization",
      answers: { 200: { description: "it is gone, and its name is free", schema: z.object({ ok: z.literal(true) }) } },
      refusals: [404],
    }),
    allow("apps.admin"),
    params(z.object({ id: appIdSchema })),
    async (c) => {
      const { id } = c.req.valid("param");
      const gone = await database(c.env)
        .update(apps)
        .set({ deletedAt: Date.now() })
        .where(and(inUse(c), eq(apps.id, id)))
        .returning({ id: apps.id });
      if (gone.length === 0) refuse("not_found", "there is no such app");
      await recordAudit(c, { action: "apps.delete", target: id, allowed: true });
      return c.json({ ok: true as const });
    },
  );

async function requireCredential(c: AppContext, credentialId: string): Promise<void> {
  const [row] = await database(c.env)
    .select({ id: credentials.id })
    .from(credentials)
    .where(
      and(
        eq(credentials.organizationId, c.var.principal.organizationId),
        eq(credentials.id, credentialId),
        isNull(credentials.revokedAt),
      ),
    );
  if (!row) refuse("credential_unknown", "there is no such credential", { credentialId });
}

function recordOf(c: AppContext, row: AppRow): z.infer<typeof appRecord> {
  const { id, name, description, visibility, vmMode, createdAt, updatedAt } = row;
  // Defaults of an earlier version get the fields that came later.
  const runtimeDefaults = runtimeDefaultsSchema.parse(row.runtimeDefaults);
  const canUse = may(c.var.principal, "sessions.write");
  return {
    ...withoutNulls({ id, name, description, visibility, vmMode, createdAt, updatedAt }),
    runtimeDefaults,
    canUse,
  };
}
