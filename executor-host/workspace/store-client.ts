/**
 * The store over HTTP (durable/protocol/snapshot.ts says the routes). Every request may be sent twice: packs and snapshots
 * are named by their content, so a lost answer costs one more request and nothing else.
 *
 * Where the edge offers it, packs go straight to the store with presigned requests; each try asks for a new one. A host that
 * cannot reach the store, or a store that keeps failing, makes the last tries go through the edge.
 */
import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { LIMITS } from "#protocol/limits.ts";
import {
  commitResponse,
  missingResponse,
  PRESIGNED_TYPE,
  type Presigned,
  presignedSchema,
} from "#protocol/snapshot.ts";
import { type StoreAccess, StoreError } from "./port.ts";
import { sha256 } from "./read-content.ts";

const ATTEMPTS = 5;
const DIRECT_ATTEMPTS = 3;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A 32 MiB pack on a line of 2 Mbit/s takes 135 s. */
const REQUEST_MS = 180_000;

const JSON_TYPE = { "content-type": "application/json" };

export type StoreTools = { sleep: (ms: number) => Promise<void>; random: () => number };
export const realTools: StoreTools = {
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  random: Math.random,
};

export type Commit = { body: Uint8Array<ArrayBuffer>; bytesSent: number; base?: string };
export type ByteRange = { offset: number; length: number };
type Request = {
  method: string;
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: BodyInit;
};

export class StoreClient {
  readonly #access: StoreAccess;
  readonly #signal: AbortSignal | undefined;
  readonly #traceId: string;
  readonly #tools: StoreTools;
  /** Whether packs may be sent straight to the store; the edge says so with the missing ones. */
  #direct = false;

  /** Throws TypeError when `store.url` is not a whole URL. */
  constructor(input: { store: StoreAccess; signal?: AbortSignal; traceId: string }, tools: StoreTools = realTools) {
    // Refused here and now: in a request it would look like a store that cannot be reached.
    new URL(input.store.url);
    this.#access = input.store;
    this.#signal = input.signal;
    this.#traceId = input.traceId;
    this.#tools = tools;
  }

  /** Which of these packs the store lacks. */
  async missing(packs: readonly string[]): Promise<string[]> {
    const request = { method: "POST", path: "/packs/missing", headers: JSON_TYPE, body: JSON.stringify({ packs }) };
    const answer = await this.#send(request, async (response) => missingResponse.parse(await response.json()));
    this.#direct = answer.direct === true;
    return answer.missing;
  }

  /** Resolves when the store has confirmed the pack. */
  async putPack(hash: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = { "content-type": "application/octet-stream" };
    const through = { method: "PUT", path: `/packs/${hash}`, headers, body: bytes };
    const presign = (again: boolean) => ({
      method: "POST",
      path: `/packs/${hash}/upload`,
      headers: JSON_TYPE,
      body: JSON.stringify({ length: bytes.length, again }),
    });
    await this.#try(async (attempt) => {
      if (!this.#direct || attempt > DIRECT_ATTEMPTS) return await (await this.#ask(through)).arrayBuffer();
      const presigned = presignedSchema.parse(await (await this.#ask(presign(attempt > 1))).json());
      // 412: it is there already. Whether as it should be, the commit finds out.
      return await (await this.#askStore(presigned, { method: "PUT", body: bytes }, [200, 412])).arrayBuffer();
    });
  }

  /** A whole pack, checked against its name. */
  async getPack(hash: string, length: number): Promise<Uint8Array<SharedArrayBuffer>> {
    return this.#getPack(hash, {}, 200, async (response) => {
      const bytes = await readExactly(response, length);
      if (sha256(bytes) !== hash) throw new Damaged(`pack ${hash} came back damaged`);
      return bytes;
    });
  }

  /** A part of a pack; its content is for the caller to check. */
  async getRange(hash: string, { offset, length }: ByteRange): Promise<Uint8Array<SharedArrayBuffer>> {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    return this.#getPack(hash, headers, 206, async (response) => {
      if (response.status !== 206) throw new Damaged(`a range of pack ${hash} was answered with ${response.status}`);
      return await readExactly(response, length);
    });
  }

  /** From the store itself where the edge hands out a presigned request instead of the bytes. */
  async #getPack<T>(
    hash: string,
    headers: Record<string, string>,
    status: number,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    return this.#try(async (attempt) => {
      const accept = attempt > DIRECT_ATTEMPTS ? "application/octet-stream" : `${PRESIGNED_TYPE}, */*;q=0.9`;
      const response = await this.#ask({ method: "GET", path: `/packs/${hash}`, headers: { ...headers, accept } });
      if (!response.headers.get("content-type")?.startsWith(PRESIGNED_TYPE)) return read(response);
      const presigned = presignedSchema.parse(await response.json());
      return read(await this.#askStore(presigned, { method: "GET", headers }, [status]));
    });
  }

  /** A manifest's text, checked against the snapshot's id, and how many bytes came for it. */
  async getManifest(snapshotId: string): Promise<{ text: Uint8Array; bytesFetched: number }> {
    return this.#send({ method: "GET", path: `/snapshots/${snapshotId}` }, async (response) => {
      const packed = await readAtMost(response, LIMITS.manifestBytes);
      const text = unpackManifest(packed);
      if (sha256(text) !== snapshotId) throw new Damaged(`snapshot ${snapshotId} came back damaged`);
      return { text, bytesFetched: packed.length };
    });
  }

  /** Hands the manifest over to be checked and committed; the store's own name for it. */
  async commit({ body, bytesSent, base }: Commit): Promise<string> {
    const query = { bytesSent: String(bytesSent), ...(base === undefined ? {} : { base }) };
    const headers = { "content-type": "application/zstd" };
    const request = { method: "POST", path: "/snapshots", query, headers, body };
    return this.#send(request, async (response) => commitResponse.parse(await response.json()).snapshotId);
  }

  async #send<T>(request: Request, read: (response: Response) => Promise<T>): Promise<T> {
    return this.#try(async () => read(await this.#ask(request)));
  }

  /** Calls `ask` until it succeeds, fails for good, or has failed ATTEMPTS times. Throws StoreError or the signal's reason. */
  async #try<T>(ask: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      this.#signal?.throwIfAborted();
      try {
        return await ask(attempt);
      } catch (error) {
        this.#signal?.throwIfAborted();
        const failure = failureOf(error, attempt);
        if (!failure.retry || attempt === ATTEMPTS) throw failure;
      }
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      await this.#tools.sleep(pauseMs * (0.5 + this.#tools.random() / 2));
    }
  }

  /** One request to the edge. Throws StoreError for a refusal. */
  async #ask(request: Request): Promise<Response> {
    const response = await this.#fetch(request);
    if (!response.ok) throw await refusal(response);
    return response;
  }

  /** A presigned request, as it is: without our token, without a trace. Whatever goes wrong, another one may do. */
  async #askStore(presigned: Presigned, init: RequestInit, expected: readonly number[]): Promise<Response> {
    const { "content-length": _byFetch, ...signed } = presigned.headers;
    const headers = { ...signed, ...(init.headers as Record<string, string>) };
    const response = await (this.#access.fetch ?? fetch)(presigned.url, { ...this.#limits(), ...init, headers });
    if (expected.includes(response.status)) return response;
    await response.body?.cancel();
    const message = `the store answered ${response.status} to a presigned request`;
    throw new StoreError(response.status === 404 ? "not_found" : "store_unreachable", message, response.status !== 404);
  }

  #fetch({ method, path, query, headers, body }: Request): Promise<Response> {
    const url = new URL(this.#access.url + path);
    url.search = new URLSearchParams({
      epoch: String(this.#access.epoch),
      ...(this.#access.branch ? { branch: "1" } : {}),
      ...query,
    }).toString();
    const init: RequestInit = {
      ...this.#limits(),
      method,
      headers: { ...headers, authorization: `Bearer ${this.#access.token()}`, ...traceparent(this.#traceId) },
    };
    if (body !== undefined) init.body = body;
    return (this.#access.fetch ?? fetch)(url, init);
  }

  #limits(): RequestInit {
    const timeout = AbortSignal.timeout(REQUEST_MS);
    return {
      signal: this.#signal === undefined ? timeout : AbortSignal.any([this.#signal, timeout]),
      // Following one would carry the token to wherever it points.
      redirect: "error",
    };
  }
}

/** W3C trace context, by which the edge's log lines find ours; nothing for an id that is not 32 hex digits. */
function traceparent(traceId: string): Record<string, string> {
  if (!/^[0-9a-f]{32}$/.test(traceId)) return {};
  return { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-01` };
}

/** Unpacks a manifest, never to more than the limit. Throws Damaged. */
export function unpackManifest(packed: Uint8Array): Uint8Array {
  try {
    return zstdDecompressSync(packed, { maxOutputLength: LIMITS.manifestBytes });
  } catch (error) {
    throw new Damaged(`a manifest cannot be unpacked: ${messageOf(error)}`);
  }
}

/** What arrived is not what was named. Asking again may help: the line may be at fault, not the store. */
export class Damaged extends Error {}

async function refusal(response: Response): Promise<StoreError> {
  const text = await response.text();
  let reason = `http_${response.status}`;
  let message = text.slice(0, 500);
  try {
    const body = JSON.parse(text) as { reason?: unknown; message?: unknown };
    if (typeof body.reason === "string") reason = body.reason;
    if (typeof body.message === "string") message = body.message;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error; // A proxy's page: the status has to do.
  }
  // 401: the token may be renewed before the next attempt.
  const retry = response.status >= 500 || [401, 408, 425, 429].includes(response.status);
  return new StoreError(reason, message || `the store answered ${response.status}`, retry);
}

async function readAtMost(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  let total = 0;
  for await (const part of response.body ?? []) {
    total += part.length;
    if (total > maxBytes) throw new Damaged(`more than the ${maxBytes} bytes that were asked for`);
    parts.push(part);
  }
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** In memory that threads can share: several unpack it. */
async function readExactly(response: Response, length: number): Promise<Uint8Array<SharedArrayBuffer>> {
  const out = new Uint8Array(new SharedArrayBuffer(length));
  let at = 0;
  for await (const part of response.body ?? []) {
    if (at + part.length > length) throw new Damaged(`more than the ${length} bytes that were asked for`);
    out.set(part, at);
    at += part.length;
  }
  if (at < length) throw new Damaged(`${at} bytes came of the ${length} that were asked for`);
  return out;
}

/** What came damaged every time was not damaged on the way. */
function failureOf(error: unknown, attempt: number): StoreError {
  if (error instanceof StoreError) return error;
  if (error instanceof Damaged) return new StoreError("store_corrupt", error.message, attempt < ATTEMPTS);
  return new StoreError("store_unreachable", messageOf(error), true);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
