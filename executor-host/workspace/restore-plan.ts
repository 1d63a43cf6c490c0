/** Which bytes of which packs a restore needs, and where each chunk goes. Pure. */
import { type ChunkPlace, chunksOf, indexChunks, rawLength } from "#protocol/manifest-check.ts";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";

/** A chunk's place in one of the files. */
export type Target = { file: SnapshotFile; offset: number };
export type PlannedFrame = { offset: number; length: number; rawLength: number; chunks: PlannedChunk[] };
export type PlannedChunk = { hash: string; start: number; length: number; targets: Target[] };
/** One request: a whole pack, or the range of it that holds `frames`. */
export type Fetch = {
  pack: string;
  packLength: number;
  range?: { offset: number; length: number };
  frames: PlannedFrame[];
};

/** From this share of a pack on it is fetched whole and checked by its own name. */
const WHOLE_SHARE = 0.5;
/** Frames with no more than this between them are fetched in one range; and how long a range may get. */
const GAP_BYTES = 256 * 1024;
const RANGE_BYTES = 8 * 1024 * 1024;

/** What to fetch for the content of `files`, which are files of `manifest`. */
export function planRestore(manifest: Manifest, files: readonly SnapshotFile[]): Fetch[] {
  const places = indexChunks(manifest);
  const wanted = chunkTargets(files, places);
  return manifest.packs.flatMap((pack, packAt) => {
    const frames = pack.frames.flatMap((frame, frameAt): PlannedFrame[] => {
      let start = 0;
      const chunks: PlannedChunk[] = [];
      for (const { hash, length } of frame.chunks) {
        const place = places.get(hash);
        const targets = wanted.get(hash);
        // A chunk may lie in two packs; only its first place counts, or it would be written twice.
        const here = place?.pack === packAt && place.frame === frameAt && place.start === start;
        if (here && targets !== undefined) chunks.push({ hash, start, length, targets });
        start += length;
      }
      return chunks.length === 0
        ? []
        : [{ offset: frame.offset, length: frame.length, rawLength: rawLength(frame), chunks }];
    });
    const needed = frames.reduce((sum, frame) => sum + frame.length, 0);
    if (needed === 0) return [];
    if (needed >= pack.length * WHOLE_SHARE) return [{ pack: pack.hash, packLength: pack.length, frames }];
    return ranges(frames).map((some) => ({
      pack: pack.hash,
      packLength: pack.length,
      range: span(some),
      frames: some,
    }));
  });
}

function chunkTargets(files: readonly SnapshotFile[], places: ReadonlyMap<string, ChunkPlace>): Map<string, Target[]> {
  const wanted = new Map<string, Target[]>();
  for (const file of files) {
    let offset = 0;
    for (const hash of chunksOf(file)) {
      const target = { file, offset };
      const targets = wanted.get(hash);
      if (targets === undefined) wanted.set(hash, [target]);
      else targets.push(target);
      offset += places.get(hash)?.length ?? 0;
    }
  }
  return wanted;
}

function ranges(frames: readonly PlannedFrame[]): PlannedFrame[][] {
  const out: PlannedFrame[][] = [];
  for (const frame of frames) {
    const last = out.at(-1);
    const near = last !== undefined && frame.offset - span(last).offset - span(last).length <= GAP_BYTES;
    if (near && frame.offset + frame.length - span(last).offset <= RANGE_BYTES) last.push(frame);
    else out.push([frame]);
  }
  return out;
}

function span(frames: readonly PlannedFrame[]): { offset: number; length: number } {
  const first = frames[0]!;
  const last = frames.at(-1)!;
  return { offset: first.offset, length: last.offset + last.length - first.offset };
}
