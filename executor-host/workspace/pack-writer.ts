/**
 * Gathers chunks into frames and frames into packs. Packing the same chunks in the same order gives the same packs, so an
 * upload that was broken off finds its packs in the store and goes on after them.
 */
import { promisify } from "node:util";
import { constants, zstdCompress } from "node:zlib";
import type { SnapshotPack } from "#protocol/snapshot.ts";
import { FRAME_BYTES, PACK_BYTES } from "#protocol/snapshot-limits.ts";
import { sha256 } from "./read-content.ts";

/**
 * Level 1: for source code it stores a few per cent more than level 3 in about half the time. The output comes in one piece:
 * at Node's default of 16 KiB each frame would go to and fro between thread and pool twenty times.
 */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 }, chunkSize: FRAME_BYTES };
/** Frames that the thread pool compresses while the next ones are read. */
const FRAMES_IN_FLIGHT = 4;
const compress = promisify(zstdCompress);

type Chunk = { hash: string; length: number };
type Frame = SnapshotPack["frames"][number];

export class PackWriter {
  /** The packs written so far, as the manifest lists them. */
  readonly packs: SnapshotPack[] = [];
  readonly #emit: (hash: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  readonly #added = new Set<string>();
  #buffer = new Uint8Array(FRAME_BYTES);
  #used = 0;
  #chunks: Chunk[] = [];
  #compressing: { bytes: Promise<Uint8Array>; chunks: Chunk[] }[] = [];
  #parts: Uint8Array[] = [];
  #frames: Frame[] = [];
  #packBytes = 0;

  /** `emit` gets each closed pack; it resolves when the next one may come. */
  constructor(emit: (hash: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>) {
    this.#emit = emit;
  }

  has(hash: string): boolean {
    return this.#added.has(hash);
  }

  /** Adds a chunk of 1 to FRAME_BYTES bytes, copying it; undefined when there is nothing to wait for. */
  add(hash: string, bytes: Uint8Array): Promise<void> | undefined {
    if (this.#used + bytes.length > FRAME_BYTES) return this.#flush().then(() => this.add(hash, bytes));
    this.#added.add(hash);
    this.#buffer.set(bytes, this.#used);
    this.#used += bytes.length;
    this.#chunks.push({ hash, length: bytes.length });
    return undefined;
  }

  /** Closes the last frame and pack. */
  async finish(): Promise<void> {
    if (this.#used > 0) await this.#flush();
    while (this.#compressing.length > 0) await this.#settle();
    await this.#close();
  }

  async #flush(): Promise<void> {
    this.#compressing.push({ bytes: compress(this.#buffer.subarray(0, this.#used), LEVEL), chunks: this.#chunks });
    // The compressor still reads the old one.
    this.#buffer = new Uint8Array(FRAME_BYTES);
    this.#used = 0;
    this.#chunks = [];
    if (this.#compressing.length >= FRAMES_IN_FLIGHT) await this.#settle();
  }

  async #settle(): Promise<void> {
    const next = this.#compressing.shift();
    if (next === undefined) return;
    // A copy, to let go of the roomy buffer that it came in.
    const bytes = new Uint8Array(await next.bytes);
    if (this.#packBytes + bytes.length > PACK_BYTES) await this.#close();
    this.#frames.push({ offset: this.#packBytes, length: bytes.length, chunks: next.chunks });
    this.#parts.push(bytes);
    this.#packBytes += bytes.length;
  }

  async #close(): Promise<void> {
    if (this.#packBytes === 0) return;
    const bytes = new Uint8Array(this.#packBytes);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    const pack = { hash: sha256(bytes), length: bytes.length, frames: this.#frames };
    this.#parts = [];
    this.#frames = [];
    this.#packBytes = 0;
    this.packs.push(pack);
    await this.#emit(pack.hash, bytes);
  }
}
