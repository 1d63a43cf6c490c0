/** zstd with a bound, and names. */
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { LIMITS } from "#protocol/limits.ts";

/** workerd refuses an output as long as the limit, Node only a longer one; and workerd grows in steps of this. */
const SLACK_BYTES = 64 * 1024;

/** Unpacks zstd to at most `maxBytes`; undefined when it is damaged or longer. */
export function unpackBounded(packed: Uint8Array, maxBytes: number): Uint8Array | undefined {
  try {
    const raw = zstdDecompressSync(packed, { maxOutputLength: maxBytes + SLACK_BYTES });
    return raw.length <= maxBytes ? raw : undefined;
  } catch (error) {
    if (error instanceof Error) return undefined; // What the unpacker throws at bytes that are not what they should be.
    throw error;
  }
}

export function unpackManifest(packed: Uint8Array): Uint8Array | undefined {
  return unpackBounded(packed, LIMITS.manifestBytes);
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
