/**
 * What a manifest has to satisfy beyond its schema (SNAPSHOT.md). The host checks before it restores, the edge before it
 * stores: each on its own.
 */

import type { Manifest, SnapshotFile } from "./snapshot.ts";
import { FRAME_BYTES, SNAPSHOT_LIMITS } from "./snapshot-limits.ts";

/** Where a chunk lies: in `pack`, the zstd frame at `offset`, and in the unpacked frame from `start`. */
export type ChunkPlace = {
  /** Index into `manifest.packs`, and of the frame in that pack. */
  pack: number;
  frame: number;
  start: number;
  length: number;
};

/** Finds chunks by their hash. When one lies in two places, the first counts. */
export function indexChunks(manifest: Manifest): Map<string, ChunkPlace> {
  const places = new Map<string, ChunkPlace>();
  manifest.packs.forEach((pack, packAt) => {
    pack.frames.forEach((frame, frameAt) => {
      let start = 0;
      for (const { hash, length } of frame.chunks) {
        if (!places.has(hash)) places.set(hash, { pack: packAt, frame: frameAt, start, length });
        start += length;
      }
    });
  });
  return places;
}

/** The hashes of a file's chunks, in order. */
export function chunksOf(file: SnapshotFile): readonly string[] {
  return file.chunks ?? (file.size === 0 ? [] : [file.hash]);
}

/** Bytes that a frame unpacks to. */
export function rawLength(frame: Manifest["packs"][number]["frames"][number]): number {
  return frame.chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** The first rule that `manifest` breaks, in words with its number; undefined when it breaks none. */
export function checkManifest(manifest: Manifest): string | undefined {
  return checkPacks(manifest) ?? checkEntries(manifest) ?? checkContent(manifest);
}

function checkPacks(manifest: Manifest): string | undefined {
  const seen = new Set<string>();
  for (const pack of manifest.packs) {
    if (seen.has(pack.hash)) return `[P-snap-4] pack ${pack.hash} is listed twice`;
    seen.add(pack.hash);
    let end = 0;
    for (const frame of pack.frames) {
      if (frame.offset < end) return `[P-snap-5] frames of pack ${pack.hash} overlap or are out of order`;
      end = frame.offset + frame.length;
      if (end > pack.length) return `[P-snap-5] a frame reaches over the end of pack ${pack.hash}`;
      if (rawLength(frame) > FRAME_BYTES) return `[P-snap-6] a frame of pack ${pack.hash} unpacks to too much`;
    }
  }
  return undefined;
}

function checkEntries(manifest: Manifest): string | undefined {
  const directories = new Set<string>();
  const others = new Set<string>();
  let before: string | undefined;
  let folder = "";
  for (const { path, kind } of manifest.entries) {
    if (before !== undefined && path <= before) return `[P-snap-9] entries are not sorted and unique at ${path}`;
    before = path;
    (kind === "directory" ? directories : others).add(path);
    // Most entries lie where the one before them lies, and that was looked at.
    if (path.lastIndexOf("/") === folder.length && path.startsWith(folder)) continue;
    folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    // A parent sorts before what is in it, so one pass sees every parent first. One level is enough: what has a
    // directory entry was checked itself; what has none must not hide a link two levels up.
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const parent = path.slice(0, at);
      if (directories.has(parent)) break;
      if (others.has(parent)) return `[P-snap-10] ${path} lies below something that is not a directory`;
    }
  }
  return undefined;
}

function checkContent(manifest: Manifest): string | undefined {
  const places = indexChunks(manifest);
  let total = 0;
  for (const entry of manifest.entries) {
    if (entry.kind !== "file") continue;
    let length = 0;
    for (const hash of chunksOf(entry)) {
      const place = places.get(hash);
      if (place === undefined) return `[P-snap-7] no pack holds chunk ${hash} of ${entry.path}`;
      length += place.length;
    }
    if (length !== entry.size) return `[P-snap-8] the chunks of ${entry.path} make ${length} bytes, not ${entry.size}`;
    total += entry.size;
    if (total > SNAPSHOT_LIMITS.totalBytes) return "[P-snap-11] the files add up to more than a snapshot may hold";
  }
  return undefined;
}
