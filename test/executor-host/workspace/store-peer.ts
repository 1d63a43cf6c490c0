/**
 * The edge as the host sees it: the store's own functions over a map, behind a `fetch`. Faults are put in front of it, one
 * answer at a time; a request for anything else throws.
 */
import { missingRequest } from "#protocol/snapshot.ts";
import { packKey, type Shelf, snapshotKey } from "../../../worker/store/keys.ts";
import { sha256 } from "../../../worker/store/manifest-bytes.ts";
import type {
  ByteRange,
  ListInput,
  Listing,
  ObjectBody,
  ObjectStore,
  PutBody,
  PutOutcome,
  StoredObject,
} from "../../../worker/store/object-store.ts";
import { missingPacks, putPack, putSnapshot } from "../../../worker/store/receive.ts";

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly reads: { key: string; range?: ByteRange }[] = [];
  readonly times = new Map<string, number>();
  now = () => 0;
  pageKeys = 1_000;

  async head(key: string): Promise<StoredObject | undefined> {
    const bytes = this.objects.get(key);
    return bytes && { length: bytes.length };
  }

  async get(key: string, range?: ByteRange): Promise<ObjectBody | undefined> {
    const whole = this.objects.get(key);
    if (whole === undefined) return undefined;
    this.reads.push(range === undefined ? { key } : { key, range });
    const bytes = range === undefined ? whole : whole.slice(range.offset, range.offset + range.length);
    return { length: bytes.length, body: new Response(bytes).body!, bytes: async () => bytes };
  }

  async putIfAbsent(key: string, body: PutBody, hash?: string): Promise<PutOutcome> {
    const content = "stream" in body ? body.stream : body;
    const bytes = new Uint8Array(await new Response(content as BodyInit).arrayBuffer());
    if (hash !== undefined && sha256(bytes) !== hash) return "corrupt";
    if (this.objects.has(key)) return "already_there";
    this.objects.set(key, bytes);
    this.times.set(key, this.now());
    return "stored";
  }

  async list({ prefix, cursor = "" }: ListInput): Promise<Listing> {
    const left = [...this.objects.keys()].filter((key) => key.startsWith(prefix) && key > cursor).sort();
    const page = left.slice(0, this.pageKeys);
    return {
      objects: page.map((key) => ({
        key,
        length: this.objects.get(key)!.length,
        uploadedAt: this.times.get(key) ?? 0,
      })),
      ...(left.length > page.length ? { cursor: page.at(-1)! } : {}),
    };
  }

  async remove(key: string): Promise<void> {
    this.objects.delete(key);
  }
}

export type Call = { method: string; path: string; bytes: number };
/** Stands before the store: a Response answers instead of it, a changed one after it, undefined lets it through. */
export type Fault = (call: Call, proceed: () => Promise<Response>) => Promise<Response> | Response | undefined;

export class StorePeer<Store extends ObjectStore = MemoryStore> {
  readonly store: Store;
  readonly shelf: Shelf = { organizationId: "org_1", sessionId: "ses_1" };
  readonly calls: Call[] = [];
  readonly commits: { snapshotId: string; bytesSent: number }[] = [];
  epoch = 1;
  fault: Fault = () => undefined;

  constructor(store: Store = new MemoryStore() as ObjectStore as Store) {
    this.store = store;
  }

  readonly fetch: typeof fetch = async (input, init) => {
    const request = new Request(
      input as RequestInfo,
      { ...init, ...(init?.body ? { duplex: "half" } : {}) } as RequestInit,
    );
    const body = new Uint8Array(await request.arrayBuffer());
    const url = new URL(request.url);
    const call = { method: request.method, path: url.pathname.replace(/^\/store/, ""), bytes: body.length };
    this.calls.push(call);
    const proceed = () => this.#answer(call, url, request, body);
    return (await this.fault(call, proceed)) ?? proceed();
  };

  async #answer(call: Call, url: URL, request: Request, body: Uint8Array): Promise<Response> {
    if (request.headers.get("authorization") !== "Bearer token") return refusal(401, "unauthorized");
    if (url.searchParams.get("epoch") !== String(this.epoch)) return refusal(409, "stale_epoch");
    const { store, shelf } = this;
    const [, kind, name = ""] = call.path.split("/");
    if (call.method === "POST" && call.path === "/packs/missing") {
      const { packs } = missingRequest.parse(JSON.parse(new TextDecoder().decode(body)));
      return Response.json({ missing: await missingPacks(store, shelf, packs) });
    }
    if (call.method === "PUT" && kind === "packs") {
      const outcome = await putPack(store, shelf, name, body);
      return outcome === "corrupt"
        ? refusal(422, "pack_corrupt")
        : Response.json({}, { status: outcome === "stored" ? 201 : 200 });
    }
    if (call.method === "GET")
      return this.#read(kind === "packs" ? packKey(shelf, name) : snapshotKey(shelf, name), request);
    if (call.method === "POST" && kind === "snapshots") {
      const base = url.searchParams.get("base") ?? undefined;
      const put = await putSnapshot(store, shelf, { body, ...(base === undefined ? {} : { base }) });
      if (!put.ok) return refusal(put.reason === "snapshot_invalid" ? 422 : 409, put.reason, put.message);
      this.commits.push({ snapshotId: put.snapshotId, bytesSent: Number(url.searchParams.get("bytesSent")) });
      return Response.json({ snapshotId: put.snapshotId });
    }
    throw new Error(`nobody expected ${call.method} ${call.path}`);
  }

  async #read(key: string, request: Request): Promise<Response> {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range") ?? "") ?? [];
    const range = from === undefined ? undefined : { offset: Number(from), length: Number(to) - Number(from) + 1 };
    const object = await this.store.get(key, range);
    if (object === undefined) return refusal(404, "not_found");
    return new Response(object.body, { status: range === undefined ? 200 : 206 });
  }
}

export function refusal(status: number, reason: string, message = reason): Response {
  return Response.json({ ok: false, reason, message }, { status });
}
