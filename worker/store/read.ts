/** Reading a snapshot at the edge, straight from the store, with no host: its manifest, its tree, its files. */
import type { FileEntry } from "#protocol/http.ts";
import { chunksOf } from "#protocol/manifest-check.ts";
import { decodeManifest } from "#protocol/manifest-text.ts";
import { AGENT_FOLDER, type Manifest, type SnapshotEntry, type SnapshotFile } from "#protocol/snapshot.ts";
import { FrameSource, StoreDamage } from "./frames.ts";
import { type Shelf, snapshotKey } from "./keys.ts";
import { sha256, unpackManifest } from "./manifest-bytes.ts";
import type { ByteRange, ObjectStore } from "./object-store.ts";

/** Text of manifests kept by one isolate; parsed it takes two to three times as much. */
const CACHE_BYTES = 12 * 1024 * 1024;

/** Manifests never change, so they are kept as long as there is room; the one used longest ago goes first. */
export class ManifestCache {
  readonly #kept = new Map<string, { manifest: Manifest; bytes: number }>();
  #bytes = 0;

  get(key: string): Manifest | undefined {
    const found = this.#kept.get(key);
    if (found === undefined) return undefined;
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found.manifest;
  }

  add(key: string, manifest: Manifest, bytes: number): void {
    if (bytes > CACHE_BYTES || this.#kept.has(key)) return;
    this.#kept.set(key, { manifest, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#bytes <= CACHE_BYTES) break;
      this.#kept.delete(oldest);
      this.#bytes -= freed;
    }
  }
}

/**
 * The manifest of a snapshot; undefined when there is none of that id. It was checked by schema and rules before it was
 * stored, and its id says that it is still what was stored. Throws StoreDamage when it is not.
 */
export async function loadManifest(
  store: ObjectStore,
  shelf: Shelf,
  snapshotId: string,
  cache: ManifestCache,
): Promise<Manifest | undefined> {
  const key = snapshotKey(shelf, snapshotId);
  const cached = cache.get(key);
  if (cached !== undefined) return cached;
  const text = await loadManifestText(store, shelf, snapshotId);
  if (text === undefined) return undefined;
  const { head, ...lists } = decodeManifest(text);
  const manifest = { ...(head as object), ...lists } as Manifest;
  cache.add(key, manifest, text.length);
  return manifest;
}

/** The same as its text, for those who need little of it. Throws StoreDamage. */
export async function loadManifestText(
  store: ObjectStore,
  shelf: Shelf,
  snapshotId: string,
): Promise<Uint8Array | undefined> {
  const object = await store.get(snapshotKey(shelf, snapshotId));
  if (object === undefined) return undefined;
  const text = unpackManifest(await object.bytes());
  if (text === undefined || sha256(text) !== snapshotId)
    throw new StoreDamage(`snapshot ${snapshotId} is damaged`, false);
  return text;
}

/** The entry at `path`; a directory that only its content tells of is one too. Undefined when nothing is there. */
export function findEntry(manifest: Manifest, path: string): SnapshotEntry | undefined {
  const at = lowerBound(manifest.entries, path);
  const entry = manifest.entries[at];
  if (entry?.path === path) return entry;
  const below = manifest.entries[lowerBound(manifest.entries, `${path}/`)];
  return below?.path.startsWith(`${path}/`) ? { kind: "directory", path, mode: 0o755 } : undefined;
}

/** Everything below the folder `path` ("": the workspace), in order; the agents' folder only when it is asked for. */
export function entriesBelow(manifest: Manifest, path: string, hidden: "show" | "hide"): SnapshotEntry[] {
  const prefix = path === "" ? "" : `${path}/`;
  const some = manifest.entries.slice(
    lowerBound(manifest.entries, prefix),
    lowerBound(manifest.entries, after(prefix)),
  );
  return hidden === "show" ? some : some.filter((entry) => !isHidden(entry.path));
}

/** What lies directly in the folder `path` ("": the workspace); undefined when that is no folder. */
export function listTree(manifest: Manifest, path: string, hidden: "show" | "hide"): FileEntry[] | undefined {
  if (path !== "" && findEntry(manifest, path)?.kind !== "directory") return undefined;
  const { entries } = manifest;
  const prefix = path === "" ? "" : `${path}/`;
  const children = new Map<string, FileEntry>();
  for (let i = lowerBound(entries, prefix); i < entries.length && entries[i]!.path.startsWith(prefix); ) {
    const entry = entries[i]!;
    const slash = entry.path.indexOf("/", prefix.length);
    const child = slash === -1 ? entry.path : entry.path.slice(0, slash);
    if (!children.has(child) && (hidden === "show" || !isHidden(child))) {
      children.set(child, fileEntryOf(slash === -1 ? entry : { kind: "directory", path: child, mode: 0o755 }, prefix));
    }
    i = slash === -1 ? i + 1 : lowerBound(entries, after(`${child}/`));
  }
  return [...children.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The bytes of a file, or of a range in it, fetched as they are read. Nothing is handed out unchecked: the stream breaks
 * with StoreDamage where the store is damaged.
 */
export function readFile(
  store: ObjectStore,
  shelf: Shelf,
  manifest: Manifest,
  file: SnapshotFile,
  range: ByteRange = { offset: 0, length: file.size },
): ReadableStream<Uint8Array> {
  const parts = readParts(new FrameSource(store, shelf, manifest, [file]), file, range);
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await parts.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await parts.return(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The same as a generator, over a source that several files share. */
export async function* readParts(
  source: FrameSource,
  file: SnapshotFile,
  range: ByteRange = { offset: 0, length: file.size },
): AsyncGenerator<Uint8Array, undefined> {
  const end = range.offset + range.length;
  let at = 0;
  for (const hash of chunksOf(file)) {
    const length = source.lengthOf(hash);
    const from = Math.max(range.offset, at);
    const to = Math.min(end, at + length);
    if (from < to) yield (await source.chunk(hash)).slice(from - at, to - at);
    at += length;
    if (at >= end) return undefined;
  }
  return undefined;
}

function isHidden(path: string): boolean {
  return path === AGENT_FOLDER || path.startsWith(`${AGENT_FOLDER}/`);
}

function fileEntryOf(entry: SnapshotEntry, prefix: string): FileEntry {
  const { path, kind, mode } = entry;
  const named = { name: path.slice(prefix.length), path, kind, mode };
  if (entry.kind === "file") return { ...named, size: entry.size, mtimeMs: entry.mtimeMs };
  if (entry.kind === "link") return { ...named, size: 0, target: entry.target };
  return { ...named, size: 0 };
}

/** The first text that sorts after everything below a folder: "0" follows "/". For the workspace itself, after all. */
function after(prefix: string): string {
  return prefix === "" ? "\uffff\uffff" : `${prefix.slice(0, -1)}0`;
}

function lowerBound(entries: readonly SnapshotEntry[], path: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (entries[middle]!.path < path) low = middle + 1;
    else high = middle;
  }
  return low;
}
