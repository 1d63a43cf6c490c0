/**
 * How threads share the frames of what was fetched: each takes the next that nobody has taken. They have planned the same
 * fetches out of the same manifest, so a number says which is meant.
 */
import type { FileWriter } from "./file-writer.ts";
import { readFrame } from "./frame-reader.ts";
import type { Fetch } from "./restore-plan.ts";

/** What came for the fetch of number `at`, and how many of its frames are taken. */
export type Part = { at: number; bytes: Uint8Array; taken: Int32Array<SharedArrayBuffer> };

export function partOf(at: number, bytes: Uint8Array): Part {
  return { at, bytes, taken: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)) };
}

/** Writes frames of `part` until all are taken. Throws Damaged, and the file system's errors. */
export function writeShare({ at, bytes, taken }: Part, fetches: readonly Fetch[], writer: FileWriter): void {
  const fetch = fetches[at];
  if (fetch === undefined) throw new Error(`there is no fetch ${at}`);
  const start = fetch.range?.offset ?? 0;
  for (;;) {
    const frame = fetch.frames[Atomics.add(taken, 0, 1)];
    if (frame === undefined) return;
    const packed = bytes.subarray(frame.offset - start, frame.offset - start + frame.length);
    readFrame(frame, packed, (chunk, content) => writer.writeChunk(chunk, content));
  }
}
