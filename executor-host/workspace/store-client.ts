/**
 * The store over HTTP (durable/protocol/snapshot.ts says the routes). Every request may be sent twice: packs and snapshots
 * are named by their content, so a lost answer costs one more request and nothing else.
 */
import { randomBytes } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { LIMITS } from "#protocol/limits.ts";
import { commitResponse, missingResponse } from "#protocol/snapshot.ts";
import { type StoreAccess, StoreError } from "./port.ts";
import { sha256 } from "./read-content.ts";

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** A 32 MiB pack on a line of 2 Mbit/s takes 135 s. */
const REQUEST_MS = 180_000;

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
    const headers = { "content-type": "application/json" };
    const request = { method: "POST", path: "/packs/missing", headers, body: JSON.stringify({ packs }) };
    return this.#send(request, async (response) => missingResponse.parse(await response.json()).missing);
  }

  /** Resolves when the store has confirmed the pack. */
  async putPack(hash: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const headers = { "content-type": "application/octet-stream" };
    await this.#send({ method: "PUT", path: `/packs/${hash}`, headers, body: bytes }, async (response) => {
      await response.arrayBuffer();
    });
  }

  /** A whole pack, checked against its name. */
  async getPack(hash: string, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#send({ method: "GET", path: `/packs/${hash}` }, async (response) => {
      const bytes = await readAtMost(response, length);
      if (bytes.length !== length || sha256(bytes) !== hash) throw new Damaged(`pack ${hash} came back damaged`);
      return bytes;
    });
  }

  /** A part of a pack; its content is for the caller to check. */
  async getRange(hash: string, { offset, length }: ByteRange): Promise<Uint8Array<ArrayBuffer>> {
    const headers = { range: `bytes=${offset}-${offset + length - 1}` };
    return this.#send({ method: "GET", path: `/packs/${hash}`, headers }, async (response) => {
      if (response.status !== 206) throw new Damaged(`a range of pack ${hash} was answered with ${response.status}`);
      const bytes = await readAtMost(response, length);
      if (bytes.length !== length) throw new Damaged(`a range of pack ${hash} came back short`);
      return bytes;
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
    for (let attempt = 1; ; attempt++) {
      this.#signal?.throwIfAborted();
      try {
        const response = await this.#fetch(request);
        if (!response.ok) throw await refusal(response);
        return await read(response);
      } catch (error) {
        this.#signal?.throwIfAborted();
        const failure = failureOf(error, attempt);
        if (!failure.retry || attempt === ATTEMPTS) throw failure;
      }
      const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      await this.#tools.sleep(pauseMs * (0.5 + this.#tools.random() / 2));
    }
  }

  #fetch({ method, path, query, headers, body }: Request): Promise<Response> {
    const url = new URL(this.#access.url + path);
    url.search = new URLSearchParams({ epoch: String(this.#access.epoch), ...query }).toString();
    const timeout = AbortSignal.timeout(REQUEST_MS);
    const init: RequestInit = {
      method,
      headers: { ...headers, authorization: `Bearer ${this.#access.token()}`, ...traceparent(this.#traceId) },
      signal: this.#signal === undefined ? timeout : AbortSignal.any([this.#signal, timeout]),
      // Following one would carry the token to wherever it points.
      redirect: "error",
    };
    if (body !== undefined) init.body = body;
    return (this.#access.fetch ?? fetch)(url, init);
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
