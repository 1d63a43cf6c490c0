/** A new session that begins with the files of another one, as they were in any of its snapshots. */
import { Hono } from "hono";
import { z } from "zod";
import { sessionSummary } from "#protocol/http.ts";
import { derivedId, newId, sessionIdSchema } from "#protocol/ids.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { Rejection } from "#protocol/objects.ts";
import { contentHashSchema } from "#protocol/snapshot.ts";
import { summarize } from "#protocol/summary.ts";
import { appOfSession, bindSession } from "../apps/find.ts";
import { allow } from "../auth/allow.ts";
import { type AppContext, type AppEnv, commandContext, idempotencyKey } from "../context.ts";
import { countOn } from "../db/condemned.ts";
import { reserve, usageOf } from "../db/shelves.ts";
import { describe } from "../describe.ts";
import { Refused, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { forkSnapshot } from "../store/fork.ts";
import type { Shelf } from "../store/keys.ts";
import { jsonBody, params } from "../validate.ts";
import { newestOf, onRecord, openShelf, refuseSnapshot } from "./open-shelf.ts";

const forkBody = z.object({
  /** Absent: the newest one. */
  snapshotId: contentHashSchema.optional(),
  title: z.string().trim().min(1).max(LIMITS.titleChars).optional(),
});
const SUFFIX = " (fork)";

export const forkRoutes = new Hono<AppEnv>().post(
  "/:id/fork",
  describe({
    summary: "Start a new session from a snapshot of this one; the conversation begins anew",
    tag: "sessions",
    answers: {
      201: {
        description: "the new session; its first run finds the files of the snapshot",
        schema: z.object({
          session: sessionSummary,
          forkedFrom: z.object({ sessionId: sessionIdSchema, snapshotId: contentHashSchema }),
        }),
      },
    },
    refusals: [404, 409, 410, 422],
  }),
  allow("sessions.write"),
  params(z.object({ id: sessionIdSchema })),
  jsonBody(forkBody),
  async (c) => {
    const { id: parentId } = c.req.valid("param");
    const body = c.req.valid("json");
    const { organizationId, id: principalId } = c.var.principal;
    const { store, shelf, view } = await openShelf(c, parentId);
    const snapshotId = body.snapshotId ?? newestOf(view);
    const key = await idempotencyKey(c);
    const sessionId =
      key === undefined ? newId("ses") : await derivedId("ses", organizationId, principalId, "fork", parentId, key);
    const to = { organizationId, sessionId };
    const target = `${parentId}@${snapshotId} -> ${sessionId}`;
    return onRecord(c, { action: "sessions.fork", target }, async () => {
      const forked = await forkSnapshot(store, shelf, to, snapshotId, {
        countOn: (names) => countOn(c.env, to, names),
        reserve: (bytes) => reserveFork(c, to, bytes),
      });
      if (!forked.ok && forked.reason === "snapshot_not_found") return refuseSnapshot(c, shelf, snapshotId);
      if (!forked.ok) throw new Refused(forked);
      // Its network and its credentials are those of what it was forked from.
      const app = await appOfSession(c, parentId);
      if (app) await bindSession(c, sessionId, app.id);
      const forkedFrom = { sessionId: parentId, snapshotId };
      const { ok: _, ...snapshot } = forked;
      const title = body.title ?? view.title.slice(0, LIMITS.titleChars - SUFFIX.length) + SUFFIX;
      const command = await commandContext(c);
      const created = unwrap(
        await sessionObject(c.env, organizationId, sessionId).create(
          {
            sessionId,
            organizationId,
            title,
            provider: view.provider,
            vmMode: view.vmMode,
            ...(app && { appId: app.id }),
            fork: { forkedFrom, snapshot },
          },
          { ...command, commandId: `${command.commandId}#fork` },
        ),
      );
      return c.json({ session: summarize(created.view), forkedFrom }, 201);
    });
  },
);

/** Room for a copy; what an earlier try has counted already is not counted again. The refusal says what a person can do. */
async function reserveFork(c: AppContext, to: Shelf, bytes: number): Promise<Rejection | undefined> {
  const { session } = await usageOf(c.env, to);
  const refused = await reserve(c.env, to, Math.max(0, bytes - session.usedBytes));
  if (refused === undefined) return undefined;
  const { quota } = refused.details as { quota: string };
  const why =
    quota === "session"
      ? "Its files would be more than one session may have in the store. Ask an administrator for a larger quota."
      : refused.message;
  return { ...refused, message: `No new session was made. ${why}` };
}
