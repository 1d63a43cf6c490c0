/** A session's snapshots in time, and what changed between any two of them. No host has to be online. */
import { Hono } from "hono";
import { z } from "zod";
import { type CHANGES, type DiffAnswer, diffAnswer, type FileChange, snapshotsAnswer } from "#protocol/changes.ts";
import { sessionIdSchema } from "#protocol/ids.ts";
import { contentHashSchema, type SnapshotEntry, workspacePathSchema } from "#protocol/snapshot.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { listSnapshots } from "../db/snapshots.ts";
import { describe } from "../describe.ts";
import { changeTexts, FILE_BOUNDS, LIST_BOUNDS } from "../store/change-text.ts";
import { compareManifests, type Pair, pathOf } from "../store/compare.ts";
import type { Shelf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { loadManifestText } from "../store/read.ts";
import { query } from "../validate.ts";
import { newestOf, onRecord, openShelf, refuseSnapshot } from "./open-shelf.ts";

/** Changes in one answer; with the longest paths there are it is still a few megabytes. */
const MOST_CHANGES = 2_000;

const listQuery = z.object({
  sessionId: sessionIdSchema,
  limit: z.coerce.number().int().min(1).max(500).default(100),
  before: z.coerce.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
});
const snapshotOrEmpty = z.union([z.literal(""), contentHashSchema]).default("");
const diffQuery = z.object({
  sessionId: sessionIdSchema,
  /** Empty or absent: before the first snapshot, when nothing was there. */
  from: snapshotOrEmpty,
  /** Empty or absent: the newest one. */
  to: snapshotOrEmpty,
  /** Only this file (a renamed one by either name), with a larger bound for its text. */
  path: workspacePathSchema.optional(),
  hidden: z.enum(["0", "1"]).default("0"),
  text: z.enum(["0", "1"]).default("1"),
});

export const changeRoutes = new Hono<AppEnv>()
  .get(
    "/snapshots",
    describe({
      summary: "A session's snapshots, newest first, and the runs that they followed",
      tag: "files",
      answers: { 200: { description: "one page; `nextBefore` when there are more", schema: snapshotsAnswer } },
      refusals: [404, 410],
    }),
    allow("files.read"),
    query(listQuery),
    async (c) => {
      const asked = c.req.valid("query");
      const { shelf } = await openShelf(c, asked.sessionId);
      await recordAudit(c, { action: "files.read", target: `${asked.sessionId}:snapshots`, allowed: true });
      return c.json(await listSnapshots(c.env, shelf.organizationId, { ...asked, own: true }));
    },
  )
  .get(
    "/diff",
    describe({
      summary: "What changed between two snapshots of a session",
      tag: "files",
      answers: { 200: { description: "each file that changed, small texts with their lines", schema: diffAnswer } },
      refusals: [404, 410],
    }),
    allow("files.read"),
    query(diffQuery),
    async (c) => {
      const asked = c.req.valid("query");
      const { store, shelf, view } = await openShelf(c, asked.sessionId);
      const to = asked.to || view.workspace.snapshotId;
      return onRecord(c, { action: "files.read", target: targetOf(asked, to) }, async () => {
        const newer = to ?? newestOf(view);
        const texts = {
          from: asked.from ? await textOf(c, store, shelf, asked.from) : undefined,
          to: await textOf(c, store, shelf, newer),
        };
        const pairs = compareManifests(texts.from, texts.to, asked.hidden === "1" ? "show" : "hide").filter(
          ({ before, after }) => !asked.path || before?.path === asked.path || after?.path === asked.path,
        );
        const listed = pairs.slice(0, MOST_CHANGES);
        const sides = { from: { shelf, text: texts.from }, to: { shelf, text: texts.to } };
        const bounds = asked.path === undefined ? LIST_BOUNDS : FILE_BOUNDS;
        const contents = asked.text === "1" ? await changeTexts(store, sides, listed, bounds) : [];
        const answer: DiffAnswer = {
          ...(asked.from ? { from: asked.from } : {}),
          to: newer,
          changes: listed.map((pair, at) => ({ ...changeOf(pair), ...(contents[at] ? { text: contents[at] } : {}) })),
          counts: countsOf(pairs),
          truncated: listed.length < pairs.length,
        };
        return c.json(answer);
      });
    },
  );

function targetOf(asked: z.output<typeof diffQuery>, to = "nothing"): string {
  return `${asked.sessionId}:/${asked.path ?? ""} (${asked.from.slice(0, 12) || "nothing"}..${to.slice(0, 12)})`;
}

/** @throws Refused `snapshot_pruned`, `snapshot_not_found`; StoreDamage */
async function textOf(c: AppContext, store: ObjectStore, shelf: Shelf, snapshotId: string): Promise<Uint8Array> {
  return (await loadManifestText(store, shelf, snapshotId)) ?? refuseSnapshot(c, shelf, snapshotId);
}

function changeOf(pair: Pair): FileChange {
  const { change, before, after } = pair;
  const kind = (after ?? before)!.kind;
  return {
    path: pathOf(pair),
    change,
    kind,
    ...(before && before.kind !== kind ? { kindBefore: before.kind } : {}),
    ...(change === "renamed" ? { oldPath: before!.path } : {}),
    ...(before?.kind === "file" ? { sizeBefore: before.size } : {}),
    ...(after?.kind === "file" ? { sizeAfter: after.size } : {}),
    ...modesOf(before, after),
    ...(before?.kind === "link" ? { targetBefore: before.target } : {}),
    ...(after?.kind === "link" ? { targetAfter: after.target } : {}),
  };
}

function modesOf(before: SnapshotEntry | undefined, after: SnapshotEntry | undefined) {
  if (!before || !after || before.mode === after.mode) return {};
  return { modeBefore: before.mode, modeAfter: after.mode };
}

function countsOf(pairs: readonly Pair[]): DiffAnswer["counts"] {
  const counts = { added: 0, removed: 0, modified: 0, renamed: 0, mode: 0 } satisfies Record<
    (typeof CHANGES)[number],
    number
  >;
  for (const { change } of pairs) counts[change]++;
  return counts;
}
