/** A session's snapshots, and which of them people want kept. */
import { Hono } from "hono";
import { z } from "zod";
import { snapshotsAnswer } from "#protocol/changes.ts";
import { sessionIdSchema } from "#protocol/ids.ts";
import { contentHashSchema } from "#protocol/snapshot.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { findSnapshot, listSnapshots, pinSnapshot, unpinSnapshot } from "../db/snapshots.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { params, query } from "../validate.ts";
import { onRecord, openShelf } from "./open-shelf.ts";

const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  before: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
});
const snapshotPath = z.object({ id: contentHashSchema });
const pinAnswer = z.object({ snapshotId: contentHashSchema, pinned: z.boolean() });

export const sessionSnapshotRoutes = new Hono<AppEnv>().get(
  "/:id/snapshots",
  describe({
    summary: "A session's snapshots, newest first, with those that are pinned or no longer kept",
    tag: "files",
    answers: { 200: { description: "one page; `nextBefore` when there are more", schema: snapshotsAnswer } },
    refusals: [404, 410],
  }),
  allow("files.read"),
  params(z.object({ id: sessionIdSchema })),
  query(listQuery),
  async (c) => {
    const { id: sessionId } = c.req.valid("param");
    const { shelf } = await openShelf(c, sessionId);
    await recordAudit(c, { action: "files.read", target: `${sessionId}:snapshots`, allowed: true });
    return c.json(await listSnapshots(c.env, shelf.organizationId, { sessionId, ...c.req.valid("query") }));
  },
);

export const snapshotRoutes = new Hono<AppEnv>()
  .post(
    "/:id/pin",
    describe({
      summary: "Keep a snapshot whatever its age; pinned again, nothing changes",
      tag: "files",
      answers: { 200: { description: "pinned", schema: pinAnswer } },
      refusals: [404, 410],
    }),
    allow("sessions.write"),
    params(snapshotPath),
    async (c) => {
      const { id } = c.req.valid("param");
      const { organizationId, name } = c.var.principal;
      const sessionId = await sessionOf(c, id, "snapshots.pin");
      return onRecord(c, { action: "snapshots.pin", target: `${sessionId}@${id}` }, async () => {
        if (!(await pinSnapshot(c.env, organizationId, { id, holder: "people", by: name, now: Date.now() })))
          return refuse("gone", "This snapshot is no longer kept, and its content is gone or will be soon.");
        return c.json({ snapshotId: id, pinned: true });
      });
    },
  )
  .delete(
    "/:id/pin",
    describe({
      summary: "Let a snapshot go when its time comes",
      tag: "files",
      answers: { 200: { description: "not pinned by people", schema: pinAnswer } },
      refusals: [404],
    }),
    allow("sessions.write"),
    params(snapshotPath),
    async (c) => {
      const { id } = c.req.valid("param");
      const sessionId = await sessionOf(c, id, "snapshots.unpin");
      await unpinSnapshot(c.env, c.var.principal.organizationId, { id, holder: "people" });
      await recordAudit(c, { action: "snapshots.unpin", target: `${sessionId}@${id}`, allowed: true });
      return c.json({ snapshotId: id, pinned: false });
    },
  );

/** @throws Refused `snapshot_not_found`, also for another organisation's */
async function sessionOf(c: AppContext, id: string, action: string): Promise<string> {
  const found = await findSnapshot(c.env, c.var.principal.organizationId, id);
  if (found) return found.sessionId;
  return onRecord(c, { action, target: `@${id}` }, () => refuse("snapshot_not_found", "There is no such snapshot."));
}
