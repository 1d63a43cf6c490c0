/**
 * Reads a file while somebody may be writing it. A reading counts when the file was the same before and after; after
 * MAX_READINGS that did not, the last one is kept and the file is marked, so that a log that never rests is not lost.
 */
import { createHash, hash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { FRAME_BYTES } from "#protocol/snapshot-limits.ts";
import { cutPoint, WHOLE_BYTES } from "./cut.ts";
import { type Directory, openFile } from "./directory-handle.ts";
import { OddFile } from "./errors.ts";

const MAX_READINGS = 3;

export type Content = { size: number; hash: string; chunks?: string[]; stats: Stats; unstable: boolean };
/** Takes a chunk; the bytes are only valid until it is done. */
export type ChunkSink = (hash: string, bytes: Uint8Array) => Promise<void> | undefined;

// One for all files: a new megabyte for each of them would cost more than reading most.
const buffer = Buffer.allocUnsafe(2 * FRAME_BYTES);

/**
 * Reads `name`, giving its chunks to `sink`. `afterReading` is called between reading and looking again (tests change the
 * file there). Throws the system's error, or OddFile when it is no
 * longer a regular file.
 */
export async function readContent(
  directory: Directory,
  name: string,
  sink: ChunkSink,
  afterReading?: () => void,
): Promise<Content> {
  for (let reading = 1; ; reading++) {
    const fd = openFile(directory, name);
    try {
      const before = fstatSync(fd);
      if (!before.isFile()) throw new OddFile("not_a_file");
      const content = before.size <= WHOLE_BYTES ? await readWhole(fd, before, sink) : await readCut(fd, before, sink);
      afterReading?.();
      const after = fstatSync(fd);
      const same = after.mtimeMs === before.mtimeMs && after.ctimeMs === before.ctimeMs && after.size === content.size;
      if (same || reading === MAX_READINGS) return { ...content, stats: after, unstable: !same };
    } finally {
      closeSync(fd);
    }
  }
}

type Read = { size: number; hash: string; chunks?: string[] };

async function readWhole(fd: number, before: Stats, sink: ChunkSink): Promise<Read> {
  const size = fill(fd, 0, before.size, 0);
  const bytes = buffer.subarray(0, size);
  const hash = sha256(bytes);
  if (size > 0) await sink(hash, bytes);
  return { size, hash };
}

async function readCut(fd: number, before: Stats, sink: ChunkSink): Promise<Read> {
  const whole = createHash("sha256");
  const chunks: string[] = [];
  let size = 0;
  let kept = 0;
  for (let position = 0; ; ) {
    const got = fill(fd, kept, Math.min(buffer.length - kept, before.size - position), position);
    position += got;
    kept += got;
    if (kept === 0) break;
    let start = 0;
    // Cut only where a whole longest chunk is in sight, or the end: boundaries must not depend on how much was read.
    while (kept - start >= FRAME_BYTES || (position >= before.size && start < kept) || (got === 0 && start < kept)) {
      const length = cutPoint(buffer.subarray(start, kept));
      const bytes = buffer.subarray(start, start + length);
      const hash = sha256(bytes);
      whole.update(bytes);
      chunks.push(hash);
      size += length;
      start += length;
      await sink(hash, bytes);
    }
    buffer.copy(buffer, 0, start, kept);
    kept -= start;
  }
  const hash = whole.digest("hex");
  // It may have shrunk to one chunk, or to nothing, while it was read.
  return chunks.length < 2 ? { size, hash } : { size, hash, chunks };
}

function fill(fd: number, offset: number, length: number, position: number): number {
  let got = 0;
  while (got < length) {
    const bytes = readSync(fd, buffer, offset + got, length - got, position + got);
    if (bytes === 0) break;
    got += bytes;
  }
  return got;
}

export function sha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

/** SHA-256 of a file that nobody is writing. */
export function hashFile(path: string): string {
  const hash = createHash("sha256");
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let position = 0; ; ) {
      const got = fill(fd, 0, buffer.length, position);
      if (got === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, got));
      position += got;
    }
  } finally {
    closeSync(fd);
  }
}
