/**
 * What the file system said of a file or folder when its content was known: equal later, the content is the same. The empty
 * signature matches nothing: it was touched so recently that a later write could carry the same times ("racy", as in git's
 * index).
 */
import type { Stats } from "node:fs";

export type Signature =
  | readonly []
  | readonly [mode: number, size: number, mtimeMs: number, ctimeMs: number, ino: number];
/** By path. */
export type Signatures = Map<string, Signature>;
/** What a signature is made of. */
export type Seen = Pick<Stats, "mode" | "size" | "mtimeMs" | "ctimeMs" | "ino">;

export const NEVER: Signature = [];

/** Kernel time stamps move by a clock tick, 10 ms at most; file systems with whole seconds show it by their zeros. */
const TICK_MS = 50;
const WHOLE_SECONDS_MS = 2_000;

/** The signature of something whose content was known to be unchanged at `knownAtMs`. */
export function signatureOf(stats: Seen, knownAtMs: number): Signature {
  const settlesMs = stats.ctimeMs % 1_000 === 0 ? WHOLE_SECONDS_MS : TICK_MS;
  if (stats.ctimeMs + settlesMs > knownAtMs) return NEVER;
  return [stats.mode, stats.size, stats.mtimeMs, stats.ctimeMs, stats.ino];
}

export function matches(signature: Signature | undefined, stats: Seen): boolean {
  return (
    signature !== undefined &&
    signature[4] === stats.ino &&
    signature[3] === stats.ctimeMs &&
    signature[2] === stats.mtimeMs &&
    signature[1] === stats.size &&
    signature[0] === stats.mode
  );
}

export function sameSignatures(some: Signatures, others: Signatures): boolean {
  if (some === others) return true;
  if (some.size !== others.size) return false;
  for (const [path, signature] of some) {
    const other = others.get(path);
    if (other === undefined || other.length !== signature.length) return false;
    for (let i = 0; i < signature.length; i++) if (other[i] !== signature[i]) return false;
  }
  return true;
}

const SEEN_NUMBERS = 5;

/** Many of them as numbers in a row: what goes from thread to thread is then one block of memory. */
export function packSeen(all: readonly Seen[]): Float64Array<ArrayBuffer> {
  const numbers = new Float64Array(all.length * SEEN_NUMBERS);
  for (const [i, { mode, size, mtimeMs, ctimeMs, ino }] of all.entries()) {
    numbers.set([mode, size, mtimeMs, ctimeMs, ino], i * SEEN_NUMBERS);
  }
  return numbers;
}

export function unpackSeen(numbers: Float64Array): Seen[] {
  return Array.from({ length: numbers.length / SEEN_NUMBERS }, (_, i) => {
    const [mode = 0, size = 0, mtimeMs = 0, ctimeMs = 0, ino = 0] = numbers.subarray(i * SEEN_NUMBERS);
    return { mode, size, mtimeMs, ctimeMs, ino };
  });
}
