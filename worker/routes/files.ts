/** A session's files for people: any snapshot's tree, single files, and folders as zip. No host has to be online. */
import { Hono } from "hono";
import { z } from "zod";
import { fileEntry } from "#protocol/http.ts";
import { sessionIdSchema } from "#protocol/ids.ts";
import { contentHashSchema, type Manifest, type SnapshotFile, workspacePathSchema } from "#protocol/snapshot.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { describe } from "../describe.ts";
import { refuse } from "../errors.ts";
import { contentDisposition, fileHeaders } from "../store/content-type.ts";
import { StoreDamage } from "../store/frames.ts";
import type { Shelf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { parseRange } from "../store/range.ts";
import { entriesBelow, findEntry, listTree, loadManifest, ManifestCache, readFile } from "../store/read.ts";
import { zipEntries, zipRefusal } from "../store/zip.ts";
import { query } from "../validate.ts";
import { newestOf, onRecord, openShelf, refuseSnapshot } from "./open-shelf.ts";
import { unsatisfiable } from "./store.ts";

const flag = z.enum(["0", "1"]).default("0");
/** "" and "/" are the workspace itself; a slash at the end is forgiven. */
const path = z
  .string()
  .default("")
  .transform((text) => text.replace(/\/$/, ""))
  .pipe(z.union([z.literal(""), workspacePathSchema]));
const snapshotQuery = z.object({
  sessionId: sessionIdSchema,
  /** Absent: the newest one of the session. */
  snapshotId: contentHashSchema.optional(),
  path,
});
const treeQuery = snapshotQuery.extend({ hidden: flag });
const downloadQuery = snapshotQuery.extend({ inline: flag, hidden: flag });

const manifests = new ManifestCache();
const GONE = "The content of this snapshot was removed, because it is no longer kept. Choose a newer one.";

export const fileRoutes = new Hono<AppEnv>()
  .get(
    "/tree",
    describe({
      summary: "What lies in a folder of a snapshot",
      tag: "files",
      answers: {
        200: {
          description: "the folder's own entries; the agents' folder only with `hidden=1`",
          schema: z.object({ snapshotId: z.string(), entries: z.array(fileEntry) }),
        },
      },
      refusals: [404, 410, 422],
    }),
    allow("files.read"),
    query(treeQuery),
    async (c) => {
      const asked = c.req.valid("query");
      return look(c, asked, ({ snapshotId, manifest }) => {
        const entries = listTree(manifest, asked.path, asked.hidden === "1" ? "show" : "hide");
        if (entries === undefined) return refuseMissing(manifest, asked.path);
        return c.json({ snapshotId, entries });
      });
    },
  )
  .get(
    "/download",
    describe({
      summary: "A file's bytes (ranges), or a folder as zip",
      tag: "files",
      answers: {
        200: { description: "the bytes", media: "application/octet-stream", schema: z.string() },
        206: { description: "the range" },
        304: { description: "not changed (ETag)" },
        416: { description: "the range lies outside of the file" },
      },
      refusals: [404, 410, 422],
    }),
    allow("files.read"),
    query(downloadQuery),
    async (c) => {
      const asked = c.req.valid("query");
      return look(c, asked, async ({ store, shelf, manifest }) => {
        const entry = asked.path === "" ? { kind: "directory" as const } : findEntry(manifest, asked.path);
        if (entry === undefined) return refuse("not_found", "There is no such file in the snapshot.");
        if (entry.kind === "link")
          return refuse("is_a_link", "A link has no content of its own; open what it points to.");
        if (entry.kind === "file") return fileAnswer(c, store, shelf, manifest, entry, asked.inline === "1");
        const entries = entriesBelow(manifest, asked.path, asked.hidden === "1" ? "show" : "hide");
        const refusal = zipRefusal(entries);
        if (refusal !== undefined) return refuse("too_large_for_zip", refusal);
        const name = `${asked.path === "" ? "workspace" : lastName(asked.path)}.zip`;
        const body = zipEntries(store, shelf, manifest, asked.path, entries);
        return new Response(await primed(body), {
          headers: {
            ...fileHeaders(name, false),
            "content-type": "application/zip",
            "content-disposition": contentDisposition("attachment", name),
          },
        });
      });
    },
  );

type Asked = { sessionId: string; snapshotId?: string | undefined; path: string };
type Opened = { store: ObjectStore; shelf: Shelf; snapshotId: string; manifest: Manifest };

/** One look into a snapshot, on record. @throws Refused `not_found`, `gone`, `snapshot_pruned`, `snapshot_not_found` */
async function look<T>(c: AppContext, asked: Asked, answer: (opened: Opened) => Promise<T> | T): Promise<T> {
  const { store, shelf, view } = await openShelf(c, asked.sessionId);
  const at = asked.snapshotId === undefined ? "" : `@${asked.snapshotId}`;
  return onRecord(c, { action: "files.read", target: `${asked.sessionId}${at}:/${asked.path}` }, async () => {
    const snapshotId = asked.snapshotId ?? newestOf(view);
    const manifest =
      (await loadManifest(store, shelf, snapshotId, manifests)) ?? (await refuseSnapshot(c, shelf, snapshotId));
    return answer({ store, shelf, snapshotId, manifest });
  });
}

function refuseMissing(manifest: Manifest, path: string): never {
  if (findEntry(manifest, path) === undefined) return refuse("not_found", "There is no such folder in the snapshot.");
  return refuse("not_a_folder", "This is not a folder.");
}

async function fileAnswer(
  c: AppContext,
  store: ObjectStore,
  shelf: Shelf,
  manifest: Manifest,
  file: SnapshotFile,
  inline: boolean,
): Promise<Response> {
  const etag = `"${file.hash}"`;
  const headers: Record<string, string> = {
    ...fileHeaders(lastName(file.path), inline),
    etag,
    "accept-ranges": "bytes",
  };
  if (c.req.header("if-none-match")?.includes(etag)) return new Response(null, { status: 304, headers });
  const ifRange = c.req.header("if-range");
  const range = ifRange === undefined || ifRange === etag ? parseRange(c.req.header("range"), file.size) : undefined;
  if (range === "unsatisfiable") return unsatisfiable(file.size);
  const length = range?.length ?? file.size;
  if (range !== undefined) headers["content-range"] = `bytes ${range.offset}-${range.offset + length - 1}/${file.size}`;
  const body = await primed(readFile(store, shelf, manifest, file, range));
  return new Response(body.pipeThrough(new FixedLengthStream(length)), {
    status: range === undefined ? 200 : 206,
    headers,
  });
}

/**
 * The same stream, with its first part already read: what is gone is then still an answer (410), not a broken download.
 * @throws Refused `gone`; StoreDamage
 */
async function primed(stream: ReadableStream<Uint8Array>): Promise<ReadableStream<Uint8Array>> {
  const reader = stream.getReader();
  let first: ReadableStreamReadResult<Uint8Array> | undefined = await reader.read().catch((error) => {
    if (error instanceof StoreDamage && error.gone) return refuse("gone", GONE);
    throw error;
  });
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = first ?? (await reader.read());
        first = undefined;
        if (next.done) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel(reason) {
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
