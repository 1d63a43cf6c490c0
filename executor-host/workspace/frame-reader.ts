/** Unpacks frames with their bounds and checks what comes out, chunk by chunk. */
import { promisify } from "node:util";
import { zstdDecompress } from "node:zlib";
import { sha256 } from "./read-content.ts";
import type { PlannedChunk, PlannedFrame } from "./restore-plan.ts";
import { Damaged } from "./store-client.ts";

const unpack = promisify(zstdDecompress);

/**
 * The chunks of `frame`, whose packed bytes are given. Never unpacks to more than the frame's `rawLength`, which the
 * manifest's check has bounded. Throws Damaged when a length or a hash is not what the manifest says.
 */
export async function readFrame(frame: PlannedFrame, packed: Uint8Array): Promise<[PlannedChunk, Uint8Array][]> {
  let raw: Uint8Array;
  try {
    raw = await unpack(packed, { maxOutputLength: frame.rawLength, chunkSize: Math.max(64, frame.rawLength) });
  } catch (error) {
    throw new Damaged(`a frame cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (raw.length !== frame.rawLength) throw new Damaged(`a frame holds ${raw.length} bytes, not ${frame.rawLength}`);
  return frame.chunks.map((chunk) => {
    const bytes = raw.subarray(chunk.start, chunk.start + chunk.length);
    if (sha256(bytes) !== chunk.hash) throw new Damaged(`chunk ${chunk.hash} is damaged`);
    return [chunk, bytes];
  });
}
