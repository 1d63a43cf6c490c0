/**
 * Walks a workspace and says what is there: no content is read, no link is followed. Synchronous, because for tens of
 * thousands of names the thread pool costs ten times the system call; runs in the sync's own thread.
 */
import { fstatSync, lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import type { Omission, Omitted } from "#protocol/snapshot.ts";
import { AGENT_FOLDER, isSafePath, SNAPSHOT_LIMITS } from "#protocol/snapshot-limits.ts";
import { at, closeDirectory, type Directory, openChild, openRoot } from "./directory-handle.ts";
import { codeOf, isAboutTheFile, OddFile } from "./errors.ts";
import { leftOutFile, leftOutFolder } from "./policy.ts";

const KIND_BITS = 0o170000;
const FILE = 0o100000;
const DIRECTORY = 0o040000;
const LINK = 0o120000;
/** Permissions and the sticky bit; set-user-id and set-group-id do not travel ([P-snap-12]). */
export const MODE_BITS = 0o1777;

/** The end of a path that no limit bounds says little. */
const OMITTED_PATH_CHARS = 4_096;

export type Found =
  | { kind: "file"; path: string; mode: number; stats: Stats }
  | { kind: "directory"; path: string; mode: number }
  | { kind: "link"; path: string; mode: number; target: string };

/** `untouched`: folders that are exactly as in the base that the workspace lies on; nothing below them is in `found`. */
export type Scan = { found: Found[]; omitted: Omitted[]; untouched: string[] };
/** `over`: the folders of the overlay that is mounted at the root. What it has not touched is not looked at. */
export type ScanOptions = { limits?: ScanLimits; over?: { upper: string; lower: string } | undefined };
/** A folder of the workspace in both layers; it is in the upper one as soon as anything in it was touched. */
type Layers = { upper: Directory; lower: Directory };
export type ScanLimits = { entries: number; fileBytes: number; totalBytes: number; pathDepth: number };

/**
 * Everything in `root` in the order in which it should be kept: the agents' folder first, then by name. Throws when the
 * root cannot be read; what else cannot be read is in `omitted`.
 */
export function scanTree(root: string, { limits = SNAPSHOT_LIMITS, over }: ScanOptions = {}): Scan {
  const walk = new Walk(limits);
  const directory = openRoot(root);
  const layers = over && { upper: openRoot(over.upper), lower: openRoot(over.lower) };
  try {
    walk.device = fstatSync(directory.fd).dev;
    walk.enter(directory, "", 1, layers);
  } finally {
    closeDirectory(directory);
    closeLayers(layers);
  }
  return { found: walk.found, omitted: walk.omitted, untouched: walk.untouched };
}

class Walk {
  readonly found: Found[] = [];
  readonly omitted: Omitted[] = [];
  readonly untouched: string[] = [];
  device = 0;
  readonly #limits: ScanLimits;
  #bytes = 0;

  constructor(limits: ScanLimits) {
    this.#limits = limits;
  }

  enter(directory: Directory, prefix: string, depth: number, layers?: Layers): void {
    const names = this.#names(directory, prefix);
    if (prefix === "") names.sort((a, b) => Number(b === AGENT_FOLDER) - Number(a === AGENT_FOLDER));
    for (const name of names) {
      try {
        this.#visit(directory, name, prefix + name, depth, layers);
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

  /** Sorted names that are UTF-8; the others are omitted under a name with escapes. */
  #names(directory: Directory, prefix: string): string[] {
    const names = readdirSync(directory.path);
    // Bytes that are not UTF-8 come out as U+FFFD; a name may also really contain that character.
    if (!names.some((name) => name.includes("\ufffd"))) return names.sort();
    const good: string[] = [];
    for (const bytes of readdirSync(directory.path, { encoding: "buffer" })) {
      const name = bytes.toString("utf8");
      if (Buffer.from(name, "utf8").equals(bytes)) good.push(name);
      else this.omit(prefix + escaped(bytes), "name_not_utf8");
    }
    return good.sort();
  }

  #visit(directory: Directory, name: string, path: string, depth: number, layers: Layers | undefined): void {
    const stats = lstatSync(at(directory, name));
    const mode = stats.mode & MODE_BITS;
    const kind = stats.mode & KIND_BITS;
    if (kind !== FILE && kind !== DIRECTORY && kind !== LINK) return this.omit(path, "special_file");
    const policy = kind === DIRECTORY ? leftOutFolder(path) : leftOutFile(path);
    if (policy !== undefined) return this.omit(path, policy);
    if (depth > this.#limits.pathDepth || !isSafePath(path)) return this.omit(path, "too_deep");
    if (this.found.length >= this.#limits.entries) return this.omit(path, "too_many");
    if (kind === LINK) {
      this.found.push({ kind: "link", path, mode: 0o777, target: linkTarget(directory, name) });
    } else if (kind === FILE) {
      if (stats.size > this.#limits.fileBytes || this.#bytes + stats.size > this.#limits.totalBytes) {
        return this.omit(path, "too_large", `${stats.size} bytes`);
      }
      this.#bytes += stats.size;
      this.found.push({ kind: "file", path, mode, stats });
    } else {
      if (stats.dev !== this.device) return this.omit(path, "other_file_system");
      const below = layers && layersBelow(layers, name, stats.ino);
      if (below === "untouched") {
        this.untouched.push(path);
        return;
      }
      const child = openChild(directory, name);
      try {
        this.found.push({ kind: "directory", path, mode });
        this.enter(child, `${path}/`, depth + 1, below);
      } finally {
        closeDirectory(child);
        closeLayers(below);
      }
    }
  }
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

/** A name for people: printable ASCII as it is, other bytes as \xNN. */
function escaped(bytes: Buffer): string {
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`,
  ).join("");
}
