/** Looks for a secret in everything that is kept: files as they lie there, and unpacked where they are compressed. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

/** What a value could look like on disk: as it is, and as the encodings that programs wrap bytes in. */
export function spellings(value: string): Buffer[] {
  const bytes = Buffer.from(value);
  const utf16 = Buffer.from(value, "utf16le");
  // Base64 has three alignments; the characters at the edges depend on the neighbours.
  const base64 = [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    return Buffer.from(text.slice(shift === 0 ? 0 : 4, -4));
  });
  return [bytes, utf16, Buffer.from(bytes.toString("hex")), ...base64];
}

export type Search = { places: number; bytes: number; hits: string[] };

export class CanarySearch {
  readonly #spellings: Buffer[];
  /** By kind of place. */
  readonly searched: Record<string, Search> = {};

  constructor(value: string) {
    this.#spellings = spellings(value);
  }

  get hits(): string[] {
    return Object.values(this.searched).flatMap(({ hits }) => hits);
  }

  content(kind: string, place: string, content: Buffer | string): void {
    this.searched[kind] ??= { places: 0, bytes: 0, hits: [] };
    const search = this.searched[kind];
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    search.places += 1;
    search.bytes += bytes.byteLength;
    if (this.#spellings.some((spelling) => bytes.includes(spelling))) search.hits.push(place);
  }

  /** Every file below a folder; what begins as zstd does is searched unpacked, too. */
  folder(kind: string, folder: string, skip: RegExp = /^$/): void {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (skip.test(path)) continue;
      if (entry.isDirectory()) this.folder(kind, path, skip);
      if (!entry.isFile()) continue;
      const bytes = readIfThere(path);
      this.content(kind, path, bytes);
      for (let at = bytes.indexOf(ZSTD_MAGIC); at >= 0; at = bytes.indexOf(ZSTD_MAGIC, at + 4)) {
        const unpacked = unpack(bytes.subarray(at));
        if (unpacked) this.content(`${kind}, unpacked`, path, unpacked);
      }
    }
  }
}

/** Live folders lose files while they are read. */
function readIfThere(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return Buffer.alloc(0);
    throw error;
  }
}

/** Undefined for bytes that only look like a frame. */
function unpack(bytes: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(bytes);
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined;
    throw error;
  }
}
