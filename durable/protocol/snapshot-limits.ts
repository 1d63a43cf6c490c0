/** Sizes and bounds of the snapshot format. Apart from the schemas, so that a thread that only scans loads no zod. */
const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

/** Raw bytes gathered into one zstd frame, never more; and the size at which a pack is closed. */
export const FRAME_BYTES = 1 * MiB;
export const PACK_BYTES = 32 * MiB;

/** The folder inside the workspace where the agents' own state lives; kept first, hidden from the file tree. */
export const AGENT_FOLDER = ".gantry";

export const SNAPSHOT_LIMITS = {
  /** Sized for an isolate with 128 MB: an entry and its chunk take about 300 bytes of text and 500 parsed. */
  entries: 100_000,
  packs: 1_000,
  omitted: 1_000,
  fileBytes: 16 * GiB,
  /** Sum over all files, checked before anything is written. */
  totalBytes: 64 * GiB,
  /** In UTF-8. Linux takes 4,096 with the folder in front of it, and what was saved has to be restorable. */
  pathBytes: 3_072,
  linkTargetChars: 4_096,
  /** Names in one path; also the directories that a walk holds open. */
  pathDepth: 256,
} as const;

/** A NUL anywhere, or an empty, "." or ".." name: at the start, between two slashes, at the end. */
const UNSAFE = /\0|(?:^|\/)\.{0,2}(?:\/|$)/;

/** Is this a path inside the workspace, on any system it may be restored to? */
export function isSafePath(path: string): boolean {
  if (UNSAFE.test(path) || !path.isWellFormed()) return false;
  if (path.length * 3 > SNAPSHOT_LIMITS.pathBytes && utf8Bytes(path) > SNAPSHOT_LIMITS.pathBytes) return false;
  // Half as many names need as many characters: most paths are too short to be counted.
  return path.length < 2 * SNAPSHOT_LIMITS.pathDepth || path.split("/").length <= SNAPSHOT_LIMITS.pathDepth;
}

function utf8Bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
