/**
 * From a workspace on disk to a manifest and the packs that it lacks: compare with the last snapshot, read what differs,
 * pack what no pack holds yet. Knows no network and no thread.
 *
 *   scan ─► compare with signatures ─► nothing differs ─► the last snapshot again
 *                    └► read and hash ─► known chunk? ─► no: pack ─► emit
 *                                └─────────────────────► manifest
 */

import { chunksOf, indexChunks } from "#protocol/manifest-check.ts";
import { encodeManifest } from "#protocol/manifest-text.ts";
import type { Manifest, Omitted, SnapshotEntry, SnapshotPack } from "#protocol/snapshot.ts";
import { SNAPSHOT_LIMITS } from "#protocol/snapshot-limits.ts";
import { ParentCursor } from "./directory-handle.ts";
import { codeOf, isAboutTheFile } from "./errors.ts";
import { type KnownFolder, knownTree } from "./known-tree.ts";
import { PackWriter } from "./pack-writer.ts";
import { isProblem } from "./policy.ts";
import { readContent, sha256 } from "./read-content.ts";
import { packsToRetire } from "./retire.ts";
import { type Found, type Listings, MODE_BITS, scanTree } from "./scan.ts";
import { NEVER, type Signatures, signatureOf } from "./signature.ts";

export type BuildInput = {
  root: string;
  sessionId: string;
  last?: { snapshotId: string; manifest: Manifest; signatures: Signatures };
  now: () => number;
  emit: (hash: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** The overlay's folders when the workspace is a layer; `last` is then a snapshot of this very layer, or its base. */
  over?: { upper: string; lower: string } | undefined;
  /** What the last build of this very root has seen of its folders; replaced by what this one sees. */
  folders?: { listings: Listings | undefined };
  /** Told how many files are about to be read, since they are not as they were known; not when nothing has changed. */
  changedFiles?: (count: number) => void;
  /** Called after a file was read and before it is looked at again. */
  afterReading?: (path: string) => void;
};
export type Totals = { files: number; bytes: number; omitted: number };
export type Build =
  | { changed: false; snapshotId: string; signatures: Signatures; totals: Totals }
  | { changed: true; snapshotId: string; manifest: Manifest; text: Uint8Array; signatures: Signatures; totals: Totals };

type Last = NonNullable<BuildInput["last"]>;

// What follows from a snapshot alone is the same at the next sync that is compared with it.
const retiringPacks = remembered(({ manifest }) => packsToRetire(manifest));
const placesOf = remembered(({ manifest }) => indexChunks(manifest));
const treeOf = remembered(({ manifest, signatures }): KnownFolder => knownTree(manifest, signatures));

function remembered<T>(compute: (last: Last) => T): (last: Last) => T {
  const results = new WeakMap<Last, { result: T }>();
  return (last) => {
    const known = results.get(last) ?? { result: compute(last) };
    results.set(last, known);
    return known.result;
  };
}

/** Does what the next build on `last` would do first: for a moment in which nobody waits. */
export function prepareFor(last: Last): void {
  retiringPacks(last);
  treeOf(last);
}

/** Throws when the root cannot be read; what cannot be read in it is in the manifest's `omitted`. */
export async function buildSnapshot(input: BuildInput): Promise<Build> {
  const { last, now } = input;
  const retiring = last === undefined ? new Set<string>() : retiringPacks(last);
  // What is to be packed anew has to be found.
  const over = last !== undefined && retiring.size === 0 ? input.over : undefined;
  const known = last && treeOf(last);
  const scan = scanTree(input.root, { over, known, listings: input.folders?.listings });
  if (input.folders !== undefined) input.folders.listings = scan.listings;
  const { found, omitted, untouched } = scan;
  if (last !== undefined && scan.same === found.length && found.length === last.manifest.entries.length) {
    if (sameOmissions(omitted, last.manifest.omitted)) return unchanged(last, last.signatures);
  }

  input.changedFiles?.(found.filter(({ kind }) => kind === "unread").length);
  const signatures: Signatures = new Map();
  const taken = last === undefined ? [] : takeUntouched(untouched, last, signatures, omitted);
  const packs = new Packs(last, input.emit);
  const reader = new Reader(input, packs, signatures, omitted);
  const asKnown = found.map((item) => (item.kind === "unread" ? undefined : item));
  for (const entry of asKnown) {
    const signature = entry?.kind === "file" ? last?.signatures.get(entry.path) : undefined;
    if (entry !== undefined && signature !== undefined) signatures.set(entry.path, signature);
  }
  const entries = [...(await reader.readMissing(found, asKnown)), ...taken];

  let kept = sorted(entries);
  if (last !== undefined && sameEntries(kept, last.manifest) && sameOmissions(omitted, last.manifest.omitted)) {
    return unchanged(last, signatures);
  }
  if (retiring.size > 0) kept = sorted(await reader.readAgain(found, entries, retiring));
  await packs.writer.finish();

  const manifest: Manifest = {
    version: 1,
    sessionId: input.sessionId,
    ...(last === undefined ? {} : { parent: last.snapshotId }),
    createdAt: now(),
    packs: packs.used(kept),
    entries: kept,
    omitted: shortened(omitted),
  };
  const text = encodeManifest(manifest);
  return { changed: true, snapshotId: sha256(text), manifest, text, signatures, totals: totalsOf(manifest) };
}

function unchanged({ snapshotId, manifest }: Last, signatures: Signatures): Build {
  return { changed: false, snapshotId, signatures, totals: totalsOf(manifest) };
}

/** The entries, signatures and omissions of the last snapshot in folders that nobody has touched. */
function takeUntouched(
  folders: readonly string[],
  { manifest, signatures: known }: Last,
  signatures: Signatures,
  omitted: Omitted[],
): SnapshotEntry[] {
  if (folders.length === 0) return [];
  const within = new Set(folders);
  const isTaken = (path: string): boolean => {
    for (let end = path.length; end > 0; end = path.lastIndexOf("/", end - 1))
      if (within.has(path.slice(0, end))) return true;
    return false;
  };
  omitted.push(...manifest.omitted.filter(({ path }) => isTaken(path)));
  return manifest.entries.filter(({ path }) => {
    if (!isTaken(path)) return false;
    const signature = known.get(path);
    if (signature !== undefined) signatures.set(path, signature);
    return true;
  });
}

/** Which packs hold what: those of the last snapshot and those being written. */
class Packs {
  readonly writer: PackWriter;
  readonly #old: readonly SnapshotPack[];
  readonly #last: Last | undefined;
  retired: ReadonlySet<string> = new Set();

  constructor(last: Last | undefined, emit: BuildInput["emit"]) {
    this.#old = last?.manifest.packs ?? [];
    this.#last = last;
    this.writer = new PackWriter(emit);
  }

  sink = (hash: string, bytes: Uint8Array): Promise<void> | undefined =>
    this.writer.has(hash) || this.stored(hash) ? undefined : this.writer.add(hash, bytes);

  /** In a pack of the last snapshot that is to stay. */
  stored(hash: string): boolean {
    const pack = this.packOf(hash);
    return pack !== undefined && !this.retired.has(pack);
  }

  packOf(hash: string): string | undefined {
    const place = this.#last && placesOf(this.#last).get(hash);
    return place === undefined ? undefined : this.#old[place.pack]?.hash;
  }

  /** The packs that `entries` need, oldest first. */
  used(entries: readonly SnapshotEntry[]): SnapshotPack[] {
    const needed = new Set<string>();
    for (const entry of entries) {
      if (entry.kind !== "file") continue;
      for (const hash of chunksOf(entry)) if (!this.writer.has(hash)) needed.add(this.packOf(hash) ?? "");
    }
    const written = new Set(this.writer.packs.map((pack) => pack.hash));
    return [...this.#old.filter((pack) => needed.has(pack.hash) && !written.has(pack.hash)), ...this.writer.packs];
  }
}

class Reader {
  readonly #input: BuildInput;
  readonly #packs: Packs;
  readonly #signatures: Signatures;
  readonly #omitted: Omitted[];

  constructor(input: BuildInput, packs: Packs, signatures: Signatures, omitted: Omitted[]) {
    this.#input = input;
    this.#packs = packs;
    this.#signatures = signatures;
    this.#omitted = omitted;
  }

  /** Reads the files that have no entry yet. Those that are gone meanwhile stay without. */
  async readMissing(found: readonly Found[], entries: readonly (SnapshotEntry | undefined)[]) {
    const parents = new ParentCursor(this.#input.root);
    const out = [...entries];
    try {
      for (const [i, item] of found.entries()) {
        if (out[i] === undefined && mayBeFile(item)) out[i] = await this.#read(parents, item.path);
      }
    } finally {
      parents.close();
    }
    return out;
  }

  /** Reads the files again whose content lies in packs that are given up, so that it goes into new ones. */
  readAgain(found: readonly Found[], entries: readonly (SnapshotEntry | undefined)[], retiring: ReadonlySet<string>) {
    this.#packs.retired = retiring;
    const moves = (hash: string) => !this.#packs.writer.has(hash) && !this.#packs.stored(hash);
    return this.readMissing(
      found,
      entries.map((entry) => (entry?.kind === "file" && chunksOf(entry).some(moves) ? undefined : entry)),
    );
  }

  async #read(parents: ParentCursor, path: string): Promise<SnapshotEntry | undefined> {
    try {
      const { directory, name } = parents.parentOf(path);
      const afterReading = this.#input.afterReading;
      const content = await readContent(directory, name, this.#packs.sink, afterReading && (() => afterReading(path)));
      if (content.unstable) this.#omitted.push({ path, reason: "unstable" });
      const { stats, size, hash, chunks } = content;
      this.#signatures.set(path, content.unstable ? NEVER : signatureOf(stats, this.#input.now()));
      const mode = stats.mode & MODE_BITS;
      const mtimeMs = Math.floor(stats.mtimeMs);
      return { kind: "file", path, mode, size, mtimeMs, hash, ...(chunks === undefined ? {} : { chunks }) };
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      const code = codeOf(error);
      if (code !== "ENOENT") this.#omitted.push({ path, reason: "unreadable", detail: code });
      return undefined;
    }
  }
}

/** A file that was known may have to be read again, too: its packs may be given up. */
function mayBeFile(item: Found): boolean {
  return item.kind === "unread" || item.kind === "file";
}

/** By path, without what is gone. */
function sorted(entries: readonly (SnapshotEntry | undefined)[]): SnapshotEntry[] {
  return entries.filter((entry) => entry !== undefined).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function sameEntries(entries: readonly SnapshotEntry[], last: Manifest): boolean {
  if (entries.length !== last.entries.length) return false;
  return entries.every((entry, i) => {
    const other = last.entries[i];
    return other === entry || JSON.stringify(other) === JSON.stringify(entry);
  });
}

function sameOmissions(omitted: readonly Omitted[], last: readonly Omitted[]): boolean {
  return JSON.stringify(shortened(omitted)) === JSON.stringify(last);
}

/** Sorted, and with one last entry for all that found no room. */
function shortened(omitted: readonly Omitted[]): Omitted[] {
  const sorted = [...omitted].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  if (sorted.length <= SNAPSHOT_LIMITS.omitted) return sorted;
  const problems = sorted.filter(({ reason }) => isProblem(reason));
  const first = [...problems, ...sorted.filter(({ reason }) => !isProblem(reason))];
  const room = SNAPSHOT_LIMITS.omitted - 1;
  return [...first.slice(0, room), { path: "", reason: "too_many", detail: `${first.length - room} more` }];
}

function totalsOf(manifest: Manifest): Totals {
  let files = 0;
  let bytes = 0;
  for (const entry of manifest.entries) {
    if (entry.kind !== "file") continue;
    files++;
    bytes += entry.size;
  }
  return { files, bytes, omitted: manifest.omitted.filter(({ reason }) => isProblem(reason)).length };
}
