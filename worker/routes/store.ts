/**
 * The store as hosts see it (durable/protocol/snapshot.ts). Each request asks the session whether this host may, under the
 * epoch that it names. Packs then pass through here, or straight between the host and the store (presigned); what is in a
 * manifest always passes here, is checked here, and is committed under the epoch.
 */
import { Hono } from "hono";
import { z } from "zod";
import { sessionIdSchema } from "#protocol/ids.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { Rejection } from "#protocol/objects.ts";
import {
  commitResponse,
  contentHashSchema,
  missingRequest,
  missingResponse,
  PRESIGNED_TYPE,
  presignedSchema,
  uploadRequest,
} from "#protocol/snapshot.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { countOn } from "../db/condemned.ts";
import { refusalOf, release, reserve, type StoreUsage, usageOf } from "../db/shelves.ts";
import { describe } from "../describe.ts";
import { Refused, refuse, unwrap } from "../errors.ts";
import { type SessionStub, sessionObject } from "../objects.ts";
import { packKey, type Shelf, snapshotKey } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { openStore } from "../store/open-store.ts";
import { parseRange } from "../store/range.ts";
import { missingPacks, putPack, putSnapshot } from "../store/receive.ts";
import { jsonBody, params, query } from "../validate.ts";

const sessionPath = z.object({ sessionId: sessionIdSchema });
const objectPath = sessionPath.extend({ hash: contentHashSchema });
/** What a host had under a lease that it lost: taken as a snapshot beside the session's own. It may write, and read nothing. */
const branch = z.literal("1").optional();
const epochQuery = z.object({ epoch: z.coerce.number().int().nonnegative().optional() });
const writeQuery = epochQuery.extend({ branch });
const commitQuery = z.object({
  epoch: z.coerce.number().int().nonnegative(),
  bytesSent: z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER).default(0),
  base: contentHashSchema.optional(),
  durationMs: z.coerce.number().nonnegative().optional(),
  branch,
});
/** Packed. A manifest with as many entries as may be takes 8 MB; it is held in memory whole. */
const MANIFEST_UPLOAD_BYTES = 24 * 1024 * 1024;
const stored = z.object({ stored: z.boolean() });

export const storeRoutes = new Hono<AppEnv>()
  .post(
    "/:sessionId/packs/missing",
    describe({
      summary: "Which packs the store lacks",
      tag: "hosts",
      answers: { 200: { description: "those that have to be uploaded", schema: missingResponse } },
      refusals: [404, 409],
    }),
    allow("host.link"),
    params(sessionPath),
    query(writeQuery),
    jsonBody(missingRequest),
    async (c) => {
      const { shelf, store } = await enter(c, c.req.valid("param").sessionId, c.req.valid("query"));
      const rules = { countOn: (names: readonly string[]) => countOn(c.env, shelf, names) };
      const missing = await missingPacks(store, shelf, c.req.valid("json").packs, rules);
      return c.json({ missing, ...(store.direct === undefined ? {} : { direct: true }) });
    },
  )
  .post(
    "/:sessionId/packs/:hash/upload",
    describe({
      summary: "A presigned request that stores this pack, where hosts reach the store themselves",
      tag: "hosts",
      answers: { 200: { description: "make it within a minute", schema: presignedSchema } },
      refusals: [404, 409, 422],
    }),
    allow("host.link"),
    params(objectPath),
    query(writeQuery),
    jsonBody(uploadRequest),
    async (c) => {
      const { sessionId, hash } = c.req.valid("param");
      const { shelf, store } = await enter(c, sessionId, c.req.valid("query"));
      if (store.direct === undefined) return refuse("not_direct", "Packs of this store are sent to this address.");
      const { length, again } = c.req.valid("json");
      const refused = await reserve(c.env, shelf, again ? 0 : length);
      if (refused !== undefined) throw new Refused(refused);
      return c.json(await store.direct.presignPut(packKey(shelf, hash), length, hash));
    },
  )
  .put(
    "/:sessionId/packs/:hash",
    describe({
      summary: "Upload a pack; it counts once its bytes have its name",
      tag: "hosts",
      answers: {
        200: { description: "it was already there", schema: stored },
        201: { description: "stored", schema: stored },
      },
      refusals: [404, 409, 413, 422],
    }),
    allow("host.link"),
    params(objectPath),
    query(writeQuery),
    async (c) => {
      const { sessionId, hash } = c.req.valid("param");
      const { shelf, store } = await enter(c, sessionId, c.req.valid("query"));
      const body = boundedBody(c, LIMITS.packBytes);
      const refused = await reserve(c.env, shelf, body.length);
      if (refused !== undefined) throw new Refused(refused);
      const outcome = await putPack(store, shelf, hash, body);
      if (outcome !== "stored") await release(c.env, shelf, body.length);
      if (outcome === "already_there" && (await countOn(c.env, shelf, [`packs/${hash}`])).size > 0)
        return refuse("unavailable", "What lies under this name is being removed. Send the pack again.");
      if (outcome === "corrupt") return refuse("pack_corrupt", "the bytes are not those that the name says");
      return c.json({ stored: outcome === "stored" }, outcome === "stored" ? 201 : 200);
    },
  )
  .get(
    "/:sessionId/packs/:hash",
    describe({
      summary: "A pack's bytes, or a range of them",
      tag: "hosts",
      answers: { 200: { description: "the pack" }, 206: { description: "the range" } },
      refusals: [404, 409],
    }),
    allow("host.link"),
    params(objectPath),
    query(epochQuery),
    async (c) => {
      const { sessionId, hash } = c.req.valid("param");
      const { shelf, store } = await enter(c, sessionId, c.req.valid("query"));
      const key = packKey(shelf, hash);
      if (store.direct !== undefined && c.req.header("accept")?.includes(PRESIGNED_TYPE))
        return c.json(await store.direct.presignGet(key), 200, { "content-type": PRESIGNED_TYPE });
      const length = (await store.head(key))?.length;
      if (length === undefined) return refuse("not_found", "there is no such pack");
      const range = parseRange(c.req.header("range"), length);
      if (range === "unsatisfiable") return unsatisfiable(length);
      const object = await store.get(key, range);
      if (object === undefined) return refuse("not_found", "there is no such pack");
      const headers: Record<string, string> = {
        "content-type": "application/octet-stream",
        "content-length": String(object.length),
      };
      if (range === undefined) return new Response(object.body, { headers });
      headers["content-range"] = `bytes ${range.offset}-${range.offset + range.length - 1}/${length}`;
      return new Response(object.body, { status: 206, headers });
    },
  )
  .post(
    "/:sessionId/snapshots",
    describe({
      summary: "Commit a snapshot: its manifest, or the delta from that of `base`",
      tag: "hosts",
      answers: { 200: { description: "committed in the session", schema: commitResponse } },
      refusals: [404, 409, 413, 422],
    }),
    allow("host.link"),
    params(sessionPath),
    query(commitQuery),
    async (c) => {
      const { epoch, bytesSent, base, durationMs, branch } = c.req.valid("query");
      const { shelf, store, session, hostId } = await enter(c, c.req.valid("param").sessionId, c.req.valid("query"));
      boundedBody(c, MANIFEST_UPLOAD_BYTES);
      const body = new Uint8Array(await c.req.arrayBuffer());
      // Also makes the shelf known to the sweep again, should it have forgotten it.
      const refused = await reserve(c.env, shelf, 0);
      const usage = await usageOf(c.env, shelf);
      if (refused !== undefined && bytesSent > body.length) throw new Refused(refused);
      const rules = {
        countOn: (names: readonly string[]) => countOn(c.env, shelf, names),
        maxBytes: usage.session.limitBytes,
      };
      const put = await putSnapshot(store, shelf, { body, ...(base === undefined ? {} : { base }) }, rules);
      if (!put.ok) {
        // These two ask for another request, they do not say that this one was wrong.
        if (put.reason === "packs_missing" || put.reason === "base_unknown") return c.json(put, 409);
        throw new Refused(put.reason === "quota_exceeded" ? tooLarge(usage, put) : put);
      }
      const { ok: _, ...snapshot } = put;
      const committed = unwrap(
        await session.commitSnapshot({
          ...snapshot,
          hostId,
          epoch,
          bytesSent,
          traceId: c.var.traceId,
          ...(durationMs === undefined ? {} : { durationMs }),
          ...(branch ? { branch: true } : {}),
        }),
      );
      return c.json({ snapshotId: committed.snapshotId });
    },
  )
  .get(
    "/:sessionId/snapshots/:hash",
    describe({
      summary: "A snapshot's manifest",
      tag: "hosts",
      answers: { 200: { description: "zstd" } },
      refusals: [404, 409],
    }),
    allow("host.link"),
    params(objectPath),
    query(epochQuery),
    async (c) => {
      const { sessionId, hash } = c.req.valid("param");
      const { shelf, store } = await enter(c, sessionId, c.req.valid("query"));
      const object = await store.get(snapshotKey(shelf, hash));
      if (object === undefined) return refuse("not_found", "there is no such snapshot");
      const headers = { "content-type": "application/zstd", "content-length": String(object.length) };
      return new Response(object.body, { headers });
    },
  );

/**
 * The shelf of a session, once the session has said that this host may use it.
 * @throws Refused with the session's reason (`stale_epoch`, `no_lease`, `not_found` …)
 */
async function enter(
  c: AppContext,
  sessionId: string,
  { epoch, branch }: { epoch?: number | undefined; branch?: "1" | undefined },
): Promise<{ shelf: Shelf; store: ObjectStore; session: SessionStub; hostId: string }> {
  const { organizationId, id: hostId } = c.var.principal;
  c.set("log", c.var.log.with({ sessionId }));
  const session = sessionObject(c.env, organizationId, sessionId);
  unwrap(await session.mayAccessStore({ hostId, epoch, lease: branch ? "lost" : "held" }));
  return { shelf: { organizationId, sessionId }, store: await openStore(c.env), session, hostId };
}

/** A snapshot that is by itself more than its session may have. */
function tooLarge({ session, organization }: StoreUsage, { details }: Rejection): Rejection {
  const { neededBytes } = details as { neededBytes: number };
  return refusalOf({ session: { ...session, usedBytes: 0 }, organization }, neededBytes);
}

/** The request's body, of a length that is said and not too much; no store takes another. */
function boundedBody(c: AppContext, maxBytes: number): { stream: ReadableStream; length: number } {
  const length = Number(c.req.header("content-length") ?? Number.NaN);
  if (!Number.isSafeInteger(length) || c.req.raw.body === null) refuse("malformed", "send a body with Content-Length");
  if (length > maxBytes) refuse("body_too_large", `at most ${maxBytes} bytes`);
  return { stream: c.req.raw.body!, length };
}

export function unsatisfiable(size: number): Response {
  const body = { ok: false, reason: "range_not_satisfiable", message: `there are ${size} bytes` };
  return Response.json(body, { status: 416, headers: { "content-range": `bytes */${size}` } });
}
