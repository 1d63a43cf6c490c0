/**
 * A manifest out of its text: by schema, item by item, then by the rules. The edge does it before it stores, a host before
 * it restores. Entries are many and almost all alike, so the common shape is recognised by hand; everything else, and
 * every refusal, is the schema's.
 */
import { checkManifest } from "./manifest-check.ts";
import { decodeManifest } from "./manifest-text.ts";
import { entrySchema, type Manifest, manifestHeadSchema, omittedSchema, packSchema } from "./snapshot.ts";
import { FRAME_BYTES, isSafePath, SNAPSHOT_LIMITS } from "./snapshot-limits.ts";

const SCHEMAS = { packs: packSchema, entries: entrySchema, omitted: omittedSchema };
const HASH_CHARS = 64;

/** The manifest that `text` is, or the first thing that is wrong with it, in words. */
export function readManifest(text: Uint8Array): { ok: true; manifest: Manifest } | { ok: false; wrong: string } {
  const counts = { packs: 0, entries: 0, omitted: 0 };
  try {
    const { head, ...lists } = decodeManifest(text, (list, item) => {
      if (++counts[list] > SNAPSHOT_LIMITS[list])
        throw new RangeError(`[P-snap-11] more than ${SNAPSHOT_LIMITS[list]} ${list}`);
      if (list === "entries" && isPlainEntry(item)) return item;
      return list === "packs" && isPlainPack(item) ? item : SCHEMAS[list].parse(item);
    });
    const manifest = { ...manifestHeadSchema.parse(head), ...lists } as Manifest;
    const wrong = checkManifest(manifest);
    return wrong === undefined ? { ok: true, manifest } : { ok: false, wrong };
  } catch (error) {
    return { ok: false, wrong: error instanceof Error ? error.message.slice(0, 500) : String(error) };
  }
}

/** Is this, beyond doubt, a file or directory as [entrySchema] wants it? `false` says only that the schema has to look. */
export function isPlainEntry(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  const { kind, path, mode, size, mtimeMs, hash } = item as Record<string, unknown>;
  if (typeof path !== "string" || path.length > SNAPSHOT_LIMITS.pathBytes || !isSafePath(path)) return false;
  if (!isCount(mode, 0o1777)) return false;
  const fields = Object.keys(item).length;
  if (kind === "directory") return fields === 3;
  if (kind !== "file" || fields !== 6 || !isHash(hash)) return false;
  return isCount(size, SNAPSHOT_LIMITS.fileBytes) && isCount(mtimeMs, 8.64e15);
}

/** Is this, beyond doubt, a pack as [packSchema] wants it? */
export function isPlainPack(item: unknown): boolean {
  if (!hasFields(item, 3)) return false;
  const { hash, length, frames } = item;
  if (!isHash(hash) || !isCount(length, Number.MAX_SAFE_INTEGER) || length < 1) return false;
  return Array.isArray(frames) && frames.length > 0 && frames.every(isPlainFrame);
}

function isPlainFrame(item: unknown): boolean {
  if (!hasFields(item, 3)) return false;
  const { offset, length, chunks } = item;
  if (!isCount(offset, Number.MAX_SAFE_INTEGER) || !isCount(length, Number.MAX_SAFE_INTEGER) || length < 1)
    return false;
  return Array.isArray(chunks) && chunks.length > 0 && chunks.every(isPlainChunk);
}

function isPlainChunk(item: unknown): boolean {
  return hasFields(item, 2) && isHash(item.hash) && isCount(item.length, FRAME_BYTES) && item.length > 0;
}

function hasFields(item: unknown, count: number): item is Record<string, unknown> {
  return typeof item === "object" && item !== null && Object.keys(item).length === count;
}

/** Lower case hex, character by character: for so many of them several times faster than an expression. */
function isHash(value: unknown): boolean {
  if (typeof value !== "string" || value.length !== HASH_CHARS) return false;
  for (let i = 0; i < HASH_CHARS; i++) {
    const code = value.charCodeAt(i);
    const isHex = (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
    if (!isHex) return false;
  }
  return true;
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most;
}
