/**
 * The format of a workspace in the store; the rules with their numbers stand in SNAPSHOT.md. Written by the host, checked
 * and read at the edge.
 *
 *   pack       frames one after the other; a frame is one zstd frame over whole chunks, at most FRAME_BYTES of them, so
 *              that a reader takes one file by reading one range and unpacking one frame. Named by the SHA-256 of its bytes.
 *   manifest   zstd over the text of [manifestSchema], one item per line (manifest-text.ts). Named by the SHA-256 of its unpacked text: the snapshot id.
 *
 *   key in the store            orgs/<org>/sessions/<session>/packs/<sha256>   …/snapshots/<sha256>
 *
 * A file's content is its chunks one after the other: one chunk for a small file, several at content-defined boundaries
 * for a large one. A chunk is named by the SHA-256 of its content; a manifest names chunks, never positions, so an edit
 * changes the lines of what was edited and no others, and the next manifest travels as a small delta (manifest-text.ts).
 */
import { z } from "zod";
import { LIMITS } from "./limits.ts";
import { FRAME_BYTES, isSafePath, SNAPSHOT_LIMITS } from "./snapshot-limits.ts";

export { AGENT_FOLDER, FRAME_BYTES, isSafePath, PACK_BYTES } from "./snapshot-limits.ts";

export const SNAPSHOT_VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "not a SHA-256 in hex");
const size = z.number().int().nonnegative();
export const contentHashSchema = sha256;

/** A path inside the workspace: relative, "/" between names, well-formed; no empty, "." or ".." name and no NUL. */
export const workspacePathSchema = z
  .string()
  .min(1)
  .max(SNAPSHOT_LIMITS.pathBytes)
  .refine((path) => isSafePath(path), "not a path inside the workspace");

const chunkSchema = z.strictObject({ hash: sha256, length: size.min(1).max(FRAME_BYTES) });
const frameSchema = z.strictObject({
  /** Where the zstd frame lies in the pack, in bytes. */
  offset: size,
  length: size.min(1),
  /** Everything in the frame, in order. Their lengths add up to what unpacking gives: the reader's bound against bombs. */
  chunks: z.array(chunkSchema).min(1),
});
export const packSchema = z.strictObject({ hash: sha256, length: size.min(1), frames: z.array(frameSchema).min(1) });
export type SnapshotPack = z.infer<typeof packSchema>;

/** Set-user-id and set-group-id are not kept: a restore must not hand an agent's file its restorer's rights. */
const named = { path: workspacePathSchema, mode: z.number().int().min(0).max(0o1777) };
const MAX_DATE_MS = 8.64e15;
export const entrySchema = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("file"),
    ...named,
    size: size.max(SNAPSHOT_LIMITS.fileBytes),
    /** Modification time in whole milliseconds since 1970. */
    mtimeMs: z.number().int().min(-MAX_DATE_MS).max(MAX_DATE_MS),
    /** SHA-256 of the whole content. */
    hash: sha256,
    /** The chunks in order. Absent: the content is one chunk with the file's own hash (none for an empty file). */
    chunks: z.array(sha256).min(2).optional(),
  }),
  z.strictObject({ kind: z.literal("directory"), ...named }),
  z.strictObject({ kind: z.literal("link"), ...named, target: z.string().min(1).max(SNAPSHOT_LIMITS.linkTargetChars) }),
]);
export type SnapshotEntry = z.infer<typeof entrySchema>;
export type SnapshotFile = Extract<SnapshotEntry, { kind: "file" }>;

/**
 * Why something is in `omitted`. By policy: `cache`, `credential`. Kept, but caught in motion: `unstable`. All others
 * are not in the snapshot: a name that is not UTF-8, a FIFO, socket or device, no permission, another file system, limits.
 */
export const OMISSIONS = [
  "cache",
  "credential",
  "unstable",
  "name_not_utf8",
  "special_file",
  "unreadable",
  "other_file_system",
  "too_large",
  "too_deep",
  "too_many",
] as const;
export type Omission = (typeof OMISSIONS)[number];
/** Four for each byte of the longest path that Linux has. */
const OMITTED_PATH_CHARS = 16_384;
export const omittedSchema = z.strictObject({
  /** For people: longer than a path may be, names that are not UTF-8 are written with escapes. */
  path: z.string().max(OMITTED_PATH_CHARS),
  reason: z.enum(OMISSIONS),
  detail: z.string().max(500).optional(),
});
export type Omitted = z.infer<typeof omittedSchema>;

/** Everything of a manifest but its lists, which are read item by item (manifest-check.ts). */
export const manifestHeadSchema = z.strictObject({
  version: z.literal(SNAPSHOT_VERSION),
  sessionId: z.string().max(100),
  /** The snapshot this one was made on top of. */
  parent: sha256.optional(),
  /** Milliseconds since 1970 by the host's clock: for people, never for ordering. */
  createdAt: z.number(),
});
export const manifestSchema = manifestHeadSchema.extend({
  packs: z.array(packSchema).max(SNAPSHOT_LIMITS.packs),
  /** Sorted by path (UTF-16 code units), each path once; whatever has something below it is a directory. */
  entries: z.array(entrySchema).max(SNAPSHOT_LIMITS.entries),
  /** What could not be read or kept, and why. */
  omitted: z.array(omittedSchema).max(SNAPSHOT_LIMITS.omitted),
});
export type Manifest = z.infer<typeof manifestSchema>;

/* ── the store's HTTP face for hosts: all under the assignment's `storeUrl`, `Authorization: Bearer <host token>` ──
 *    every request carries ?epoch=E; 409 stale_epoch when the lease has moved on */

/** POST {storeUrl}/packs/missing → the hashes that have to be uploaded. */
export const missingRequest = z.object({ packs: z.array(sha256).max(SNAPSHOT_LIMITS.packs) });
export const missingResponse = z.object({
  missing: z.array(sha256),
  /** Packs may go straight to the store: ask for a presigned request. */
  direct: z.boolean().optional(),
});
/**
 * POST {storeUrl}/packs/:hash/upload → a request that stores exactly these bytes, once; to be made as it is, with nothing added.
 * 409 not_direct: send it here. The store answers 200, or 412 when the pack is there already.
 */
export const uploadRequest = z.object({
  length: size.min(1).max(LIMITS.packBytes),
  /** Asked before for the same pack: its room is counted already. */
  again: z.boolean().optional(),
});
export const presignedSchema = z.object({
  url: z.url(),
  headers: z.record(z.string(), z.string()),
  /** Milliseconds since 1970, by the edge's clock. */
  expiresAt: z.number(),
});
export type Presigned = z.infer<typeof presignedSchema>;
/** In `Accept` of GET {storeUrl}/packs/:hash: a presigned request is as good as the bytes. It takes ranges. */
export const PRESIGNED_TYPE = "application/vnd.gantry.presigned+json";
// PUT {storeUrl}/packs/:hash            the pack's bytes with Content-Length; 201, or 200 when it was already there;
//                                       422 pack_corrupt when the hash differs, 413 too_large
// GET {storeUrl}/packs/:hash            the pack's bytes (one range)
// GET {storeUrl}/snapshots/:id          the manifest, zstd
/**
 * POST {storeUrl}/snapshots?epoch=E&bytesSent=B[&base=S] with the manifest (zstd) as body, or, with `base`, the delta from
 * that snapshot's manifest (zstd over JSON of [deltaSchema]): checked, stored, then committed in the session under the
 * epoch. 200 commitResponse · 409 stale_epoch · 409 packs_missing { missing } · 409 base_unknown (send it whole)
 * · 422 snapshot_invalid
 */
export const commitResponse = z.object({ snapshotId: sha256 });

/** What to copy from the base, as [offset, length] in bytes, and what to insert. */
export const deltaSchema = z.array(z.union([z.string(), z.tuple([size, size])]));
export type Delta = z.infer<typeof deltaSchema>;
