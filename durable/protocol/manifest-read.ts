/**
 * A manifest out of its text: by schema, item by item, then by the rules. The edge does it before it stores, a host before
 * it restores. Entries are many and almost all alike, so the common shape is recognised by hand; everything else, and
 * every refusal, is the schema's.
 */
import { checkManifest } from "./manifest-check.ts";
import { decodeManifest } from "./manifest-text.ts";
import { entrySchema, type Manifest, manifestHeadSchema, omittedSchema, packSchema } from "./snapshot.ts";
import { isSafePath, SNAPSHOT_LIMITS } from "./snapshot-limits.ts";

const SCHEMAS = { packs: packSchema, entries: entrySchema, omitted: omittedSchema };
const HASH = /^[0-9a-f]{64}$/;

/** The manifest that `text` is, or the first thing that is wrong with it, in words. */
export function readManifest(text: Uint8Array): { ok: true; manifest: Manifest } | { ok: false; wrong: string } {
  const counts = { packs: 0, entries: 0, omitted: 0 };
  try {
    const { head, ...lists } = decodeManifest(text, (list, item) => {
      if (++counts[list] > SNAPSHOT_LIMITS[list])
        throw new RangeError(`[P-snap-11] more than ${SNAPSHOT_LIMITS[list]} ${list}`);
      return list === "entries" && isPlainEntry(item) ? item : SCHEMAS[list].parse(item);
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
  if (kind !== "file" || fields !== 6 || typeof hash !== "string" || !HASH.test(hash)) return false;
  return isCount(size, SNAPSHOT_LIMITS.fileBytes) && isCount(mtimeMs, 8.64e15);
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most;
}
