/**
 * Content out of packs: fetches the ranges that hold the wanted frames, unpacks them one at a time and hands a chunk out only
 * after its hash was checked. Files lie in packs in the order of the tree, so a folder is read in a few long ranges.
 */
import { chunksOf, indexChunks, rawLength } from "#protocol/manifest-check.ts";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";
import { packKey, type Shelf } from "./keys.ts";
import { sha256, unpackBounded } from "./manifest-bytes.ts";
import type { ObjectStore } from "./object-store.ts";

/** Packed bytes fetched in one range, and unpacked frames held: an isolate has 128 MB for everything it does. */
const RANGE_BYTES = 4 * 1024 * 1024;
const FRAMES_HELD = 8;

/** The store has lost or spoilt something that a snapshot needs. `gone`: it is not there at all. */
export class StoreDamage extends Error {
  readonly gone: boolean;

  constructor(message: string, gone: boolean) {
    super(message);
    this.name = "StoreDamage";
    this.gone = gone;
  }
}

type FrameKey = `${number}/${number}`;

export class FrameSource {
  readonly #store: ObjectStore;
  readonly #shelf: Shelf;
  readonly #manifest: Manifest;
  readonly #places: ReturnType<typeof indexChunks>;
  readonly #wanted = new Set<FrameKey>();
  readonly #packed = new Map<FrameKey, Uint8Array>();
  readonly #raw = new Map<FrameKey, Uint8Array>();

  /** `files` says what will be asked for, so that one range brings what comes next as well. */
  constructor(store: ObjectStore, shelf: Shelf, manifest: Manifest, files: readonly SnapshotFile[]) {
    this.#store = store;
    this.#shelf = shelf;
    this.#manifest = manifest;
    this.#places = indexChunks(manifest);
    for (const hash of files.flatMap(chunksOf)) {
      const place = this.#places.get(hash);
      if (place !== undefined) this.#wanted.add(`${place.pack}/${place.frame}`);
    }
  }

  /** Bytes of a chunk, from the manifest alone. */
  lengthOf(hash: string): number {
    return this.#placeOf(hash).length;
  }

  /** A chunk's checked bytes. Throws StoreDamage. */
  async chunk(hash: string): Promise<Uint8Array> {
    const { pack, frame, start, length } = this.#placeOf(hash);
    const raw = await this.#frame(pack, frame);
    const bytes = raw.subarray(start, start + length);
    if (sha256(bytes) !== hash) throw new StoreDamage(`chunk ${hash} is damaged`, false);
    return bytes;
  }

  #placeOf(hash: string) {
    const place = this.#places.get(hash);
    if (place === undefined) throw new StoreDamage(`no pack holds chunk ${hash}`, false);
    return place;
  }

  async #frame(pack: number, frame: number): Promise<Uint8Array> {
    const key: FrameKey = `${pack}/${frame}`;
    const held = this.#raw.get(key);
    if (held !== undefined) return held;
    if (!this.#packed.has(key)) await this.#fetch(pack, frame);
    const packed = this.#packed.get(key)!;
    this.#packed.delete(key);
    const length = rawLength(this.#manifest.packs[pack]!.frames[frame]!);
    const raw = unpackBounded(packed, length);
    if (raw?.length !== length)
      throw new StoreDamage(`frame ${frame} of pack ${this.#manifest.packs[pack]!.hash} is damaged`, false);
    this.#raw.set(key, raw);
    if (this.#raw.size > FRAMES_HELD) this.#raw.delete(this.#raw.keys().next().value!);
    return raw;
  }

  /** Fetches the frame and those wanted ones that follow it without a gap. What was fetched before and not used goes. */
  async #fetch(packAt: number, frameAt: number): Promise<void> {
    const pack = this.#manifest.packs[packAt]!;
    const first = pack.frames[frameAt]!;
    let last = frameAt;
    for (let next = last + 1; next < pack.frames.length && this.#wanted.has(`${packAt}/${next}`); next++) {
      const { offset, length } = pack.frames[next]!;
      if (offset + length - first.offset > RANGE_BYTES) break;
      last = next;
    }
    const end = pack.frames[last]!.offset + pack.frames[last]!.length;
    const range = { offset: first.offset, length: end - first.offset };
    const object = await this.#store.get(packKey(this.#shelf, pack.hash), range);
    if (object === undefined) throw new StoreDamage(`pack ${pack.hash} is gone`, true);
    const bytes = await object.bytes();
    if (bytes.length !== range.length) throw new StoreDamage(`pack ${pack.hash} is shorter than it was`, false);
    this.#packed.clear();
    for (let i = frameAt; i <= last; i++) {
      const { offset, length } = pack.frames[i]!;
      this.#packed.set(`${packAt}/${i}`, bytes.subarray(offset - first.offset, offset - first.offset + length));
    }
  }
}
