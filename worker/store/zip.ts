/**
 * A folder of a snapshot as a zip, made while it is read. Files are stored, not compressed: the edge is billed by
 * processor time. Links are not put in, since many unpackers would follow them out of the folder; they are listed in a text
 * file at the end instead, so that nothing is left out silently.
 */
import { Zip, ZipPassThrough } from "fflate";
import type { Manifest, SnapshotEntry, SnapshotFile } from "#protocol/snapshot.ts";
import { FrameSource } from "./frames.ts";
import type { Shelf } from "./keys.ts";
import type { ObjectStore } from "./object-store.ts";
import { readParts } from "./read.ts";

/** What the zip format takes without its 64-bit extension, which the writer does not know. */
const MAX_ENTRIES = 65_000;
const MAX_BYTES = 0xffffffff;
/** For names, headers and the directory at the end. */
const BYTES_PER_ENTRY = 9_000;

const LINKS_FILE = "gantry-links.txt";
const UNIX = 3;
const FIRST_YEAR_MS = Date.UTC(1980, 0, 2);
const LAST_YEAR_MS = Date.UTC(2099, 0, 1);

/** Why `entries` cannot be one zip; undefined when they can. */
export function zipRefusal(entries: readonly SnapshotEntry[]): string | undefined {
  const bytes = entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), 0);
  if (entries.length > MAX_ENTRIES) return `a zip holds at most ${MAX_ENTRIES} files, these are ${entries.length}`;
  if (bytes + entries.length * BYTES_PER_ENTRY > MAX_BYTES) return "the files are too large for one zip";
  return undefined;
}

/** `entries` (below `folder`) as zip, with names relative to `folder`. Ask [zipRefusal] first. */
export function zipEntries(
  store: ObjectStore,
  shelf: Shelf,
  manifest: Manifest,
  folder: string,
  entries: readonly SnapshotEntry[],
): ReadableStream<Uint8Array> {
  const parts = zipParts(new FrameSource(store, shelf, manifest, entries.filter(isFile)), folder, entries);
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

async function* zipParts(
  source: FrameSource,
  folder: string,
  entries: readonly SnapshotEntry[],
): AsyncGenerator<Uint8Array, undefined> {
  const ready: Uint8Array[] = [];
  const zip = new Zip((error, bytes) => {
    if (error) throw error;
    ready.push(bytes);
  });
  const nameOf = (path: string) => safeName(folder === "" ? path : path.slice(folder.length + 1));
  const links: string[] = [];
  for (const entry of entries) {
    if (entry.kind === "link") links.push(`${nameOf(entry.path)} -> ${entry.target}\n`);
    else if (entry.kind === "directory") add(zip, `${nameOf(entry.path)}/`, entry.mode).push(new Uint8Array(), true);
    else {
      const file = add(zip, nameOf(entry.path), entry.mode, entry.mtimeMs);
      for await (const bytes of readParts(source, entry)) {
        file.push(bytes);
        yield* ready.splice(0);
      }
      file.push(new Uint8Array(), true);
    }
    yield* ready.splice(0);
  }
  if (links.length > 0) add(zip, LINKS_FILE, 0o644).push(new TextEncoder().encode(links.join("")), true);
  zip.end();
  yield* ready.splice(0);
  return undefined;
}

function add(zip: Zip, name: string, mode: number, mtimeMs = FIRST_YEAR_MS): ZipPassThrough {
  const file = new ZipPassThrough(name);
  file.os = UNIX;
  file.attrs = mode << 16;
  // Outside of these years the format has no dates, and the writer throws.
  file.mtime = Math.min(Math.max(mtimeMs, FIRST_YEAR_MS), LAST_YEAR_MS);
  zip.add(file);
  return file;
}

/** A backslash is a letter here and a separator on Windows, where it could lead out of the folder. */
function safeName(path: string): string {
  return path.replaceAll("\\", "_");
}

function isFile(entry: SnapshotEntry): entry is SnapshotFile {
  return entry.kind === "file";
}
