/**
 * A prompt becomes a command, whichever way it came. In a session of an app it gets the app's defaults first: apps are in D1
 * and are read when the prompt comes, so that an edited app counts from the next run on.
 */
import { and, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import { newRunId } from "#protocol/ids.ts";
import type { CommandContext, Result } from "#protocol/objects.ts";
import { withDefaults } from "#protocol/run-defaults.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import { apps } from "../../migrations/schema.ts";
import type { Session } from "./session.ts";

/** @throws whatever D1 throws, when the session is an app's; nothing was queued then */
export async function prompt(
  session: Session,
  database: D1Database,
  asked: PromptInput,
  context: CommandContext,
): Promise<Result<{ runId: string; cursor: number }>> {
  const runId = newRunId(session.view.id);
  const whole = session.view.appId === undefined ? asked : await asItsAppSays(session, database, asked);
  const command = { type: "prompt" as const, runId, messageId: context.commandId, prompt: whole };
  // The receipt is of what was asked: repeated after an edit of the app it is still the same request.
  return session.once(context, { prompt: asked }, command, () => ({ runId, cursor: session.view.cursor }));
}

async function asItsAppSays({ view, identity }: Session, database: D1Database, asked: PromptInput) {
  const itsApp = and(eq(apps.organizationId, identity.organizationId), eq(apps.id, view.appId ?? ""));
  const [app] = await drizzle(database).select({ defaults: apps.runtimeDefaults }).from(apps).where(itsApp);
  return app ? withDefaults(asked, app.defaults, view.provider) : asked;
}
