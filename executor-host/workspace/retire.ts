/**
 * Which packs to give up. A pack is never changed, so edits leave dead content in old packs and every sync adds a small
 * one; a restore would fetch ever more objects for ever less. What such packs still hold that is alive is read from the
 * workspace again and goes into a new pack; the old packs drop out of the manifest.
 */
import { chunksOf, indexChunks } from "#protocol/manifest-check.ts";
import type { Manifest } from "#protocol/snapshot.ts";
import { PACK_BYTES } from "#protocol/snapshot-limits.ts";

/** Less than this share alive: moving costs less than it frees. */
const LEAST_ALIVE = 0.4;
/** From this many small packs on, they are gathered into one. */
const MANY_SMALL = 32;
const SMALL_BYTES = PACK_BYTES / 8;
/** What one sync may send again for it, in raw bytes: a sync after a message has to stay short. */
const MOVE_BYTES = PACK_BYTES;

/** Hashes of the packs that the next snapshot should do without. */
export function packsToRetire(manifest: Manifest): Set<string> {
  const places = indexChunks(manifest);
  const alive = manifest.packs.map(() => 0);
  const counted = new Set<string>();
  for (const entry of manifest.entries) {
    if (entry.kind !== "file") continue;
    for (const hash of chunksOf(entry)) {
      const place = places.get(hash);
      if (place === undefined || counted.has(hash)) continue;
      counted.add(hash);
      alive[place.pack]! += place.length;
    }
  }
  const rawOf = (i: number) =>
    manifest.packs[i]!.frames.flatMap((frame) => frame.chunks).reduce((sum, chunk) => sum + chunk.length, 0);
  const candidates = manifest.packs.map((pack, i) => ({ pack, alive: alive[i]!, raw: rawOf(i) }));
  const small = candidates.filter(({ pack }) => pack.length < SMALL_BYTES);
  const poor = candidates.filter((candidate) => candidate.alive < candidate.raw * LEAST_ALIVE);

  const retired = new Set<string>();
  let moved = 0;
  for (const candidate of [...poor, ...(small.length >= MANY_SMALL ? small : [])].sort((a, b) => a.alive - b.alive)) {
    if (retired.has(candidate.pack.hash)) continue;
    if (moved + candidate.alive > MOVE_BYTES) break;
    moved += candidate.alive;
    retired.add(candidate.pack.hash);
  }
  return retired;
}
