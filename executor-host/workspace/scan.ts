/**
 * Walks a workspace and says what is there: no content is read, no link is followed. Synchronous, because for tens of
 * thousands of names the thread pool costs ten times the system call; runs in the sync's own thread.
 */
import { fstatSync, lstatSync, readdirSync, readlinkSync } from "node:fs";
import type { Omission, Omitted, SnapshotEntry, SnapshotFile } from "#protocol/snapshot.ts";
import { AGENT_FOLDER, isSafePath, SNAPSHOT_LIMITS } from "#protocol/snapshot-limits.ts";
import { at, closeDirectory, type Directory, openChild, openRoot } from "./directory-handle.ts";
import { codeOf, isAboutTheFile, OddFile } from "./errors.ts";
import type { KnownFolder, KnownName } from "./known-tree.ts";
import { leftOutFile, leftOutFolder } from "./policy.ts";
import { matches, type Signature, signatureOf } from "./signature.ts";

const KIND_BITS = 0o170000;
const FILE = 0o100000;
const DIRECTORY = 0o040000;
const LINK = 0o120000;
/** Permissions and the sticky bit; set-user-id and set-group-id do not travel ([P-snap-12]). */
export const MODE_BITS = 0o1777;

/** The end of a path that no limit bounds says little. */
const OMITTED_PATH_CHARS = 4_096;

/** A folder, a link, a file that is as it was known, or one that has to be read. What is as it was is the known entry itself. */
export type Found = SnapshotEntry | Unread;
type SnapshotDirectory = Extract<SnapshotEntry, { kind: "directory" }>;
type SnapshotLink = Extract<SnapshotEntry, { kind: "link" }>;
export type Unread = { kind: "unread"; path: string };

/**
 * `untouched`: folders that are exactly as in the base that the workspace lies on; nothing below them is in `found`.
 * `same`: how many of `found` are as they were known.
 */
export type Scan = { found: Found[]; omitted: Omitted[]; untouched: string[]; same: number; listings: Listings };
export type ScanOptions = {
  limits?: ScanLimits;
  /** The folders of the overlay that is mounted at the root. What it has not touched is not looked at. */
  over?: { upper: string; lower: string } | undefined;
  known?: KnownFolder | undefined;
  /** Of an earlier scan of the same root: a folder whose times are as they were has the names that it had. */
  listings?: Listings | undefined;
};
/** The names in folders, by path. */
export type Listings = Map<string, { signature: Signature; names: readonly string[] }>;
/** A folder of the workspace in both layers; it is in the upper one as soon as anything in it was touched. */
type Layers = { upper: Directory; lower: Directory };
export type ScanLimits = { entries: number; fileBytes: number; totalBytes: number; pathDepth: number };

/**
 * Everything in `root` in the order in which it should be kept: the agents' folder first, then by name. Throws when the
 * root cannot be read; what else cannot be read is in `omitted`.
 */
export function scanTree(root: string, { limits = SNAPSHOT_LIMITS, over, known, listings }: ScanOptions = {}): Scan {
  const walk = new Walk(limits, listings);
  const directory = openRoot(root);
  const layers = over && { upper: openRoot(over.upper), lower: openRoot(over.lower) };
  try {
    walk.device = fstatSync(directory.fd).dev;
    walk.enter(directory, "", 1, known, layers);
  } finally {
    closeDirectory(directory);
    closeLayers(layers);
  }
  const { found, omitted, untouched, same, listings: listed } = walk;
  return { found, omitted, untouched, same, listings: listed };
}

class Walk {
  readonly found: Found[] = [];
  readonly omitted: Omitted[] = [];
  readonly untouched: string[] = [];
  readonly listings: Listings = new Map();
  same = 0;
  device = 0;
  readonly #limits: ScanLimits;
  readonly #before: Listings | undefined;
  #bytes = 0;

  constructor(limits: ScanLimits, before: Listings | undefined) {
    this.#limits = limits;
    this.#before = before;
  }

  enter(
    directory: Directory,
    prefix: string,
    depth: number,
    known: KnownFolder | undefined,
    layers: Layers | undefined,
  ): void {
    for (const name of this.#names(directory, prefix)) {
      try {
        this.#visit(directory, name, prefix, depth, known?.get(name), layers);
      } catch (error) {
        if (!isAboutTheFile(error)) throw error;
        // Gone since it was listed: it is not part of the workspace any more.
        if (codeOf(error) !== "ENOENT") this.omit(prefix + name, "unreadable", codeOf(error));
      }
    }
  }

  omit(path: string, reason: Omission, detail?: string): void {
    const short = path.slice(0, OMITTED_PATH_CHARS);
    this.omitted.push(detail === undefined ? { path: short, reason } : { path: short, reason, detail });
  }

  /** Sorted names that are UTF-8, the agents' folder first; the others are omitted under a name with escapes. */
  #names(directory: Directory, prefix: string): readonly string[] {
    const stats = fstatSync(directory.fd);
    const before = this.#before?.get(prefix);
    if (before !== undefined && matches(before.signature, stats)) {
      this.listings.set(prefix, before);
      return before.names;
    }
    // Of the time before it is listed: what changes it from then on shows.
    const signature = signatureOf(stats, Date.now());
    const names = readdirSync(directory.path);
    // Bytes that are not UTF-8 come out as U+FFFD; a name may also really contain that character.
    if (names.some((name) => name.includes("\ufffd"))) return this.#utf8Names(directory, prefix);
    inOrder(names, prefix);
    this.listings.set(prefix, { signature, names });
    return names;
  }

  #utf8Names(directory: Directory, prefix: string): string[] {
    const good: string[] = [];
    for (const bytes of readdirSync(directory.path, { encoding: "buffer" })) {
      const name = bytes.toString("utf8");
      if (Buffer.from(name, "utf8").equals(bytes)) good.push(name);
      else this.omit(prefix + escaped(bytes), "name_not_utf8");
    }
    return inOrder(good, prefix);
  }

  #visit(
    directory: Directory,
    name: string,
    prefix: string,
    depth: number,
    known: KnownName | undefined,
    layers: Layers | undefined,
  ): void {
    const stats = lstatSync(at(directory, name));
    if (known?.entry.kind === "file" && matches(known.signature, stats) && this.#hasRoom(stats.size)) {
      return this.#keep(known.entry);
    }
    const path = known?.entry.path ?? prefix + name;
    const mode = stats.mode & MODE_BITS;
    const kind = stats.mode & KIND_BITS;
    if (kind !== FILE && kind !== DIRECTORY && kind !== LINK) return this.omit(path, "special_file");
    const policy = kind === DIRECTORY ? leftOutFolder(path) : leftOutFile(path);
    if (policy !== undefined) return this.omit(path, policy);
    if (depth > this.#limits.pathDepth || !isSafePath(path)) return this.omit(path, "too_deep");
    if (this.found.length >= this.#limits.entries) return this.omit(path, "too_many");
    if (kind === LINK) {
      this.#take({ kind: "link", path, mode: 0o777, target: linkTarget(directory, name) }, known);
    } else if (kind === FILE) {
      if (!this.#hasRoom(stats.size)) return this.omit(path, "too_large", `${stats.size} bytes`);
      this.#bytes += stats.size;
      this.found.push({ kind: "unread", path });
    } else {
      if (stats.dev !== this.device) return this.omit(path, "other_file_system");
      const below = layers && layersBelow(layers, name, stats.ino);
      if (below === "untouched") {
        this.untouched.push(path);
        return;
      }
      const child = openChild(directory, name);
      try {
        this.#take({ kind: "directory", path, mode }, known);
        this.enter(child, `${path}/`, depth + 1, known?.below, below);
      } finally {
        closeDirectory(child);
        closeLayers(below);
      }
    }
  }

  /** A file that is as it was. */
  #keep(entry: SnapshotFile): void {
    this.#bytes += entry.size;
    this.same++;
    this.found.push(entry);
  }

  #take(entry: SnapshotDirectory | SnapshotLink, known: KnownName | undefined): void {
    const same = known !== undefined && sayTheSame(entry, known.entry);
    if (same) this.same++;
    this.found.push(same ? known.entry : entry);
  }

  #hasRoom(bytes: number): boolean {
    const { entries, fileBytes, totalBytes } = this.#limits;
    return this.found.length < entries && bytes <= fileBytes && this.#bytes + bytes <= totalBytes;
  }
}

/** Do two entries of one path say the same? Of files, only their signatures know. */
function sayTheSame(entry: SnapshotDirectory | SnapshotLink, other: SnapshotEntry): boolean {
  if (entry.kind === "directory") return other.kind === "directory" && other.mode === entry.mode;
  return other.kind === "link" && other.mode === entry.mode && other.target === entry.target;
}

/**
 * A folder that only the lower layer has is as it was, and so is everything in it: whatever is touched is in the upper layer
 * first, with all its parents. The inode says that it is this very folder, and not one that was renamed to here.
 */
function layersBelow({ upper, lower }: Layers, name: string, inode: number): Layers | "untouched" | undefined {
  const above = lstatSync(at(upper, name), { throwIfNoEntry: false });
  const base = lstatSync(at(lower, name), { throwIfNoEntry: false });
  if (base?.isDirectory() !== true) return undefined;
  if (above === undefined) return base.ino === inode ? "untouched" : undefined;
  if (!above.isDirectory()) return undefined;
  const opened = openChild(upper, name);
  try {
    return { upper: opened, lower: openChild(lower, name) };
  } catch (error) {
    closeDirectory(opened);
    throw error;
  }
}

function closeLayers(layers: Layers | undefined): void {
  if (layers === undefined) return;
  closeDirectory(layers.upper);
  closeDirectory(layers.lower);
}

function linkTarget(directory: Directory, name: string): string {
  const bytes = readlinkSync(at(directory, name), { encoding: "buffer" });
  const target = bytes.toString("utf8");
  if (!Buffer.from(target, "utf8").equals(bytes)) throw new OddFile("target_not_utf8");
  return target;
}

/** Sorts `names` where they are; those of the root with the agents' folder first. */
function inOrder(names: string[], prefix: string): string[] {
  names.sort();
  if (prefix === "") names.sort((a, b) => Number(b === AGENT_FOLDER) - Number(a === AGENT_FOLDER));
  return names;
}

/** A name for people: printable ASCII as it is, other bytes as \xNN. */
function escaped(bytes: Buffer): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}
