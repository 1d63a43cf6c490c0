/** Unpacks frames with their bounds and checks what comes out, chunk by chunk. */
import { zstdDecompressSync } from "node:zlib";
import { sha256 } from "./read-content.ts";
import type { PlannedChunk, PlannedFrame } from "./restore-plan.ts";
import { Damaged } from "./store-client.ts";

/**
 * Gives the chunks of `frame`, whose packed bytes are given, to `take`. Never unpacks to more than the frame's `rawLength`,
 * which the manifest's check has bounded. Throws Damaged when a length or a hash is not what the manifest says.
 */
export function readFrame(
  frame: PlannedFrame,
  packed: Uint8Array,
  take: (chunk: PlannedChunk, bytes: Uint8Array) => void,
): void {
  const raw = unpack(packed, frame.rawLength);
  for (const chunk of frame.chunks) {
    const bytes = raw.subarray(chunk.start, chunk.start + chunk.length);
    if (sha256(bytes) !== chunk.hash) throw new Damaged(`chunk ${chunk.hash} is damaged`);
    take(chunk, bytes);
  }
}

function unpack(packed: Uint8Array, rawLength: number): Uint8Array {
  let raw: Uint8Array;
  try {
    // One byte more than is wanted: a buffer that is filled to its end would be followed by another.
    raw = zstdDecompressSync(packed, { maxOutputLength: rawLength, chunkSize: Math.max(64, rawLength + 1) });
  } catch (error) {
    throw new Damaged(`a frame cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (raw.length !== rawLength) throw new Damaged(`a frame holds ${raw.length} bytes, not ${rawLength}`);
  return raw;
}
