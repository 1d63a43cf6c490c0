/** Our side: the host's engine, with a store that keeps its objects as files, through the edge's own functions. */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { SyncInput } from "../../executor-host/workspace/port.ts";
import { sha256 } from "../../worker/store/manifest-bytes.ts";
import type {
  ByteRange,
  Listing,
  ObjectBody,
  ObjectStore,
  PutBody,
  PutOutcome,
  StoredObject,
} from "../../worker/store/object-store.ts";
import { StorePeer } from "../executor-host/workspace/store-peer.ts";

const PIECE_BYTES = 256 * 1024;

/** As a store sends it: never the whole object in memory. Closes `fd` at the end. */
function piecesOf(fd: number, offset: number, length: number): ReadableStream<Uint8Array> {
  let at = offset;
  return new ReadableStream({
    pull: (controller) => {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, offset + length - at));
      at += readSync(fd, piece, 0, piece.length, at);
      if (piece.length > 0) return controller.enqueue(piece);
      closeSync(fd);
      controller.close();
    },
  });
}

class FolderStore implements ObjectStore {
  readonly #folder: string;
  /** R2 keeps the hash that it checked, too. */
  readonly #hashes = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async head(key: string): Promise<StoredObject | undefined> {
    if (!existsSync(this.#path(key))) return undefined;
    const sha256 = this.#hashes.get(key);
    return { length: statSync(this.#path(key)).size, ...(sha256 === undefined ? {} : { sha256 }) };
  }

  async get(key: string, range?: ByteRange): Promise<ObjectBody | undefined> {
    if (!existsSync(this.#path(key))) return undefined;
    const fd = openSync(this.#path(key), "r");
    const { offset, length } = range ?? { offset: 0, length: fstatSync(fd).size };
    const body = piecesOf(fd, offset, length);
    return { length, body, bytes: async () => new Uint8Array(await new Response(body).arrayBuffer()) };
  }

  async putIfAbsent(key: string, body: PutBody, hash?: string): Promise<PutOutcome> {
    const content = "stream" in body ? body.stream : body;
    const bytes = new Uint8Array(await new Response(content as BodyInit).arrayBuffer());
    if (hash !== undefined && sha256(bytes) !== hash) return "corrupt";
    if (existsSync(this.#path(key))) return "already_there";
    mkdirSync(dirname(this.#path(key)), { recursive: true });
    writeFileSync(`${this.#path(key)}.new`, bytes);
    renameSync(`${this.#path(key)}.new`, this.#path(key));
    if (hash !== undefined) this.#hashes.set(key, hash);
    return "stored";
  }

  async list(): Promise<Listing> {
    throw new Error("nobody sweeps in a bench");
  }

  async remove(key: string): Promise<void> {
    rmSync(this.#path(key), { force: true });
  }

  #path(key: string): string {
    return join(this.#folder, key);
  }
}

/** A host's state folder and a store in `place`. */
export function gantryIn(place: string, root: string): { input: SyncInput; stored: string } {
  const stored = join(place, "store");
  const peer = new StorePeer(new FolderStore(stored));
  const store = { url: "http://edge/store", token: () => "token", epoch: 1, fetch: peer.fetch };
  const input = { sessionId: "ses_1", root, stateDir: join(place, "state"), store, traceId: "trc_1" };
  return { stored, input };
}
