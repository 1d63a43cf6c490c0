/** Making a session, on its own or with its first run. */
import { eq } from "drizzle-orm";
import type { z } from "zod";
import { capabilityRefusal, type Wanted } from "#protocol/capabilities.ts";
import type { createSessionBody } from "#protocol/http.ts";
import { derivedId, newId } from "#protocol/ids.ts";
import { withDefaults } from "#protocol/run-defaults.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { organizations } from "../../migrations/schema.ts";
import { bindSession, usableApp } from "../apps/find.ts";
import { type AppContext, commandContext, idempotencyKey } from "../context.ts";
import { database } from "../db/database.ts";
import { Refused, refuse, unwrap } from "../errors.ts";
import { type SessionStub, sessionObject } from "../objects.ts";

const DEFAULT_TITLE = "New session";

/**
 * Creates a session of the principal's organisation. With an Idempotency-Key the id follows from the key, so that the
 * same request twice finds the session that the first one made.
 * @param known the id when something else decides it
 * @param first what the first run needs of its provider: where that would be refused, no session is made either
 * @throws Refused what the object refuses
 */
export async function createSession(
  c: AppContext,
  { title = DEFAULT_TITLE, provider, vmMode, appId, projectId }: z.output<typeof createSessionBody>,
  { known, first }: { known?: string; first?: Omit<Wanted, "provider"> } = {},
): Promise<{ sessionId: string; session: SessionStub; view: SessionView }> {
  const app = appId === undefined ? undefined : await usableApp(c, appId);
  if (projectId !== undefined) refuse("project_unknown", "there is no such project", { projectId });
  const { organizationId, id: principalId } = c.var.principal;
  const key = await idempotencyKey(c);
  const sessionId =
    known ?? (key === undefined ? newId("ses") : await derivedId("ses", organizationId, principalId, key));
  const defaults = await organizationDefaults(c);
  const itsProvider = provider ?? app?.runtimeDefaults.provider ?? defaults.provider;
  const needs = app && first ? withDefaults(first, app.runtimeDefaults, itsProvider) : first;
  const refusal = needs && capabilityRefusal({ ...needs, provider: itsProvider });
  if (refusal) throw new Refused(refusal);
  // Before the session: from its first moment on it is the app's, with the app's network and credentials.
  if (app) await bindSession(c, sessionId, app.id);
  const session = sessionObject(c.env, organizationId, sessionId);
  const command = await commandContext(c);
  const { view } = unwrap(
    await session.create(
      {
        sessionId,
        organizationId,
        title,
        provider: itsProvider,
        vmMode: vmMode ?? app?.vmMode ?? defaults.vmMode,
        ...(app && { appId: app.id }),
      },
      // Its own id: with a first run, the caller's key is the id of the prompt.
      { ...command, commandId: `${command.commandId}#create` },
    ),
  );
  return { sessionId, session, view };
}

async function organizationDefaults(c: AppContext) {
  const [row] = await database(c.env)
    .select({ provider: organizations.defaultProvider, vmMode: organizations.defaultVmMode })
    .from(organizations)
    .where(eq(organizations.id, c.var.principal.organizationId));
  if (!row) throw new Error("a principal's organisation is missing");
  return row;
}
