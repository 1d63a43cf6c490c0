/** Apps in D1: which there are, who may use them, and which one a session was made with. */
import { and, eq, isNull, or, type SQL } from "drizzle-orm";
import { apps, sessionApps } from "../../migrations/schema.ts";
import { may } from "../auth/principal.ts";
import type { AppContext } from "../context.ts";
import { database } from "../db/database.ts";
import { refuse } from "../errors.ts";

export type AppRow = typeof apps.$inferSelect;

/** The organisation's apps that something can still be begun with. */
export function inUse(c: AppContext): SQL | undefined {
  return and(eq(apps.organizationId, c.var.principal.organizationId), isNull(apps.deletedAt));
}

/** Whether the app exists for this principal at all. */
export function sees(c: AppContext, { visibility, createdBy }: AppRow): boolean {
  return visibility === "organization" || createdBy === c.var.principal.id || may(c.var.principal, "apps.admin");
}

/** @param name an app's id or its name. @throws Refused `app_unknown`, also for one that this principal does not see */
export async function usableApp(c: AppContext, name: string): Promise<AppRow> {
  const [row] = await database(c.env)
    .select()
    .from(apps)
    .where(and(inUse(c), or(eq(apps.id, name), eq(apps.name, name))));
  if (!row || !sees(c, row)) return refuse("app_unknown", `There is no app "${name}" that you may use.`, { app: name });
  return row;
}

/** The app that a session was made with, also when it was deleted since: its rules stay the session's. */
export async function appOfSession(c: AppContext, sessionId: string): Promise<AppRow | undefined> {
  const { organizationId } = c.var.principal;
  const [row] = await database(c.env)
    .select({ app: apps })
    .from(sessionApps)
    .innerJoin(apps, and(eq(apps.id, sessionApps.appId), eq(apps.organizationId, sessionApps.organizationId)))
    .where(and(eq(sessionApps.organizationId, organizationId), eq(sessionApps.sessionId, sessionId)));
  return row?.app;
}

/** For good: asked again for the same session it changes nothing. */
export async function bindSession(c: AppContext, sessionId: string, appId: string): Promise<void> {
  await database(c.env)
    .insert(sessionApps)
    .values({ organizationId: c.var.principal.organizationId, sessionId, appId })
    .onConflictDoNothing();
}
