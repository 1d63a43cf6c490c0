/** Which bytes of which packs a restore needs, and where each chunk goes. Pure. */
import { chunksOf } from "#protocol/manifest-check.ts";
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
  const wanted = chunkTargets(manifest, files);
  return manifest.packs.flatMap((pack) => {
    const frames = pack.frames.flatMap((frame): PlannedFrame[] => {
      let start = 0;
      const chunks: PlannedChunk[] = [];
      for (const { hash, length } of frame.chunks) {
        const targets = wanted.get(hash);
        if (targets !== undefined) {
          chunks.push({ hash, start, length, targets });
          // A chunk may lie in two packs; only its first place counts, or it would be written twice.
          wanted.delete(hash);
        }
        start += length;
      }
      return chunks.length === 0 ? [] : [{ offset: frame.offset, length: frame.length, rawLength: start, chunks }];
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

function chunkTargets(manifest: Manifest, files: readonly SnapshotFile[]): Map<string, Target[]> {
  const wanted = new Map<string, Target[]>();
  const add = (hash: string, target: Target) => {
    const targets = wanted.get(hash);
    if (targets === undefined) wanted.set(hash, [target]);
    else targets.push(target);
  };
  const cut = files.filter(({ chunks }) => chunks !== undefined);
  const lengths = cut.length === 0 ? undefined : chunkLengths(manifest, new Set(cut.flatMap(chunksOf)));
  for (const file of files) {
    if (file.chunks === undefined && file.size > 0) add(file.hash, { file, offset: 0 });
    let offset = 0;
    for (const hash of file.chunks ?? []) {
      add(hash, { file, offset });
      offset += lengths?.get(hash) ?? 0;
    }
  }
  return wanted;
}

/** In bytes, of those of `hashes` that a pack of `manifest` holds. */
function chunkLengths(manifest: Manifest, hashes: ReadonlySet<string>): Map<string, number> {
  const lengths = new Map<string, number>();
  for (const { frames } of manifest.packs) {
    for (const { chunks } of frames)
      for (const { hash, length } of chunks) if (hashes.has(hash)) lengths.set(hash, length);
  }
  return lengths;
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
