/**
 * Content-defined boundaries: FastCDC with normalised chunking (Xia et al., USENIX ATC 2016, §3.4 and §3.6). A gear hash
 * rolls over the bytes; before the wanted size more bits must be zero, after it fewer, which gathers the sizes around it.
 *
 * The paper's proportions (least = a quarter of the wanted size, two bits more and two bits fewer) at sizes for files
 * over 1 MiB: wanted 256 KiB, least 64 KiB, and at most one frame, so that a chunk is unpacked whole from one frame.
 */
import { FRAME_BYTES } from "#protocol/snapshot-limits.ts";

const LEAST_BYTES = 64 * 1024;
const WANTED_BYTES = 256 * 1024;
/** Files up to this size are one chunk: cutting source files finds nothing (FACTS A3). */
export const WHOLE_BYTES = FRAME_BYTES;

/** 2^18 = WANTED_BYTES, plus and minus two bits, taken from the top, where the gear hash has seen most bytes. */
const STRICT_MASK = 0xfffff000 | 0;
const LOOSE_MASK = 0xffff0000 | 0;

/** 256 fixed random numbers; xorshift32 from a constant seed, since they must be the same on every host for ever. */
const GEAR = gearTable(0x9e3779b9);

function gearTable(seed: number): Int32Array {
  const table = new Int32Array(256);
  let state = seed | 0;
  for (let i = 0; i < 256; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    table[i] = state;
  }
  return table;
}

/**
 * Where the first chunk of `bytes` ends, 1 to FRAME_BYTES. Give at least FRAME_BYTES of what follows, or all that is left.
 */
export function cutPoint(bytes: Uint8Array): number {
  const end = Math.min(bytes.length, FRAME_BYTES);
  if (end <= LEAST_BYTES) return end;
  const turn = Math.min(end, WANTED_BYTES);
  let hash = 0;
  let i = LEAST_BYTES;
  for (; i < turn; i++) {
    hash = ((hash << 1) + GEAR[bytes[i]!]!) | 0;
    if ((hash & STRICT_MASK) === 0) return i + 1;
  }
  for (; i < end; i++) {
    hash = ((hash << 1) + GEAR[bytes[i]!]!) | 0;
    if ((hash & LOOSE_MASK) === 0) return i + 1;
  }
  return end;
}
