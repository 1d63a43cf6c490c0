/**
 * Taking packs and snapshots from a host. A pack becomes visible only when its bytes have its name; a snapshot only when
 * everything it points to is there. Nothing here decides who may: the route has asked the session.
 */
import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { LIMITS } from "#protocol/limits.ts";
import { readManifest } from "#protocol/manifest-read.ts";
import { applyDelta, itemTexts } from "#protocol/manifest-text.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import { AGENT_FOLDER, deltaSchema, type Manifest, type SnapshotPack } from "#protocol/snapshot.ts";
import { packKey, type Shelf, snapshotKey } from "./keys.ts";
import { sha256, unpackManifest } from "./manifest-bytes.ts";
import { type ObjectStore, type PutBody, type PutOutcome, StoreUnavailable } from "./object-store.ts";

/** A Worker may have six connections open at once; R2 calls count. */
const CALLS_AT_ONCE = 6;

/** Stores a pack under its hash. `corrupt`: the bytes have another hash, and nothing was stored. */
export async function putPack(store: ObjectStore, shelf: Shelf, hash: string, body: PutBody): Promise<PutOutcome> {
  return store.putIfAbsent(packKey(shelf, hash), body, hash);
}

/** Those of `hashes` that the store does not have, in their order. */
export async function missingPacks(
  store: ObjectStore,
  shelf: Shelf,
  hashes: readonly string[],
  { countOn }: CommitRules = {},
): Promise<string[]> {
  const removed = await countOn?.(hashes.map((hash) => `packs/${hash}`));
  const there = await eachOf(hashes, async (hash) => (await store.head(packKey(shelf, hash))) !== undefined);
  return hashes.filter((hash, i) => !there[i] || removed?.has(`packs/${hash}`));
}

export type ReceivedSnapshot = { snapshotId: string; parent?: string; files: number; bytes: number };
export type SnapshotUpload = { body: Uint8Array; base?: string };
export type CommitRules = {
  /** Says that these objects of the shelf ("packs/…", "snapshots/…") are needed; gives those that are being removed. */
  countOn?: (names: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Packs of one snapshot together. */
  maxBytes?: number;
};

/**
 * Checks a manifest (or the delta from `base`'s) and stores it under its id; stored again it is the same. Gives what the
 * session is told when it commits. Refuses with `snapshot_invalid`, `base_unknown`, `packs_missing { missing }`, `quota_exceeded`.
 */
export async function putSnapshot(
  store: ObjectStore,
  shelf: Shelf,
  upload: SnapshotUpload,
  { countOn, maxBytes = Number.POSITIVE_INFINITY }: CommitRules = {},
): Promise<({ ok: true } & ReceivedSnapshot) | Rejection> {
  const base = upload.base === undefined ? undefined : await textOf(store, shelf, upload.base);
  // A damaged base is as good as none: the host sends the whole.
  if (upload.base !== undefined && base === undefined) return reject("base_unknown", "send the manifest whole");
  const text = base === undefined ? unpackManifest(upload.body) : fromDelta(base, upload.body);
  if (text === undefined) return reject("snapshot_invalid", "the body is damaged or unpacks to too much");
  if (!(text instanceof Uint8Array)) return text;
  const parsed = readManifest(text);
  if (!parsed.ok) return reject("snapshot_invalid", parsed.wrong);
  const { manifest } = parsed;
  if (manifest.sessionId !== shelf.sessionId) return reject("snapshot_invalid", "the manifest is of another session");

  const bytes = manifest.packs.reduce((sum, pack) => sum + pack.length, 0);
  if (bytes > maxBytes)
    return reject("quota_exceeded", "the snapshot alone is larger than its session may be", { neededBytes: bytes });
  const snapshotId = sha256(text);
  // Before the packs are looked for: what the sweep has not begun to remove by now, it leaves from now on.
  const removed = await countOn?.([`snapshots/${snapshotId}`, ...manifest.packs.map(({ hash }) => `packs/${hash}`)]);
  if (removed?.has(`snapshots/${snapshotId}`)) throw new StoreUnavailable("this manifest is being removed");
  const known = new Set(
    base && Array.from(itemTexts(base, "packs"), (line) => (JSON.parse(line) as SnapshotPack).hash),
  );
  const absent = (await absentPacks(store, shelf, manifest, known)).concat(
    manifest.packs.flatMap(({ hash }) => (removed?.has(`packs/${hash}`) ? [hash] : [])),
  );
  if (absent.length > 0)
    return reject("packs_missing", `${absent.length} packs are not in the store`, { missing: absent });
  await putManifest(store, shelf, snapshotId, text);
  return {
    ok: true,
    snapshotId,
    ...(manifest.parent === undefined ? {} : { parent: manifest.parent }),
    ...sizes(manifest),
  };
}

/**
 * Stores a manifest's text under its id. What lies there already and is damaged is replaced: nobody can read it.
 * Throws StoreUnavailable.
 */
export async function putManifest(
  store: ObjectStore,
  shelf: Shelf,
  snapshotId: string,
  text: Uint8Array,
): Promise<void> {
  const key = snapshotKey(shelf, snapshotId);
  const packed = zstdCompressSync(text);
  const put = () => store.putIfAbsent(key, packed, sha256(packed));
  let outcome = await put();
  if (outcome === "already_there" && (await textOf(store, shelf, snapshotId)) === undefined) {
    await store.remove(key);
    outcome = await put();
  }
  if (outcome === "corrupt") throw new StoreUnavailable("a manifest reached the store damaged");
}

/** The manifest's text when it is there and what its id says. */
async function textOf(store: ObjectStore, shelf: Shelf, snapshotId: string): Promise<Uint8Array | undefined> {
  const object = await store.get(snapshotKey(shelf, snapshotId));
  const text = object && unpackManifest(await object.bytes());
  return text !== undefined && sha256(text) === snapshotId ? text : undefined;
}

/** The text that the delta makes of its base; a refusal; undefined when the delta is damaged. */
function fromDelta(base: Uint8Array, body: Uint8Array): Uint8Array | Rejection | undefined {
  const delta = unpackManifest(body);
  if (delta === undefined) return undefined;
  try {
    return applyDelta(base, deltaSchema.parse(JSON.parse(new TextDecoder().decode(delta))), LIMITS.manifestBytes);
  } catch (error) {
    return reject("snapshot_invalid", `not a delta: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Packs that are not there, or not with the length and the hash that the manifest counts on. */
async function absentPacks(
  store: ObjectStore,
  shelf: Shelf,
  { packs }: Manifest,
  known: ReadonlySet<string>,
): Promise<string[]> {
  const good = await eachOf(packs, (pack) => holdsPack(store, packKey(shelf, pack.hash), pack, known.has(pack.hash)));
  return packs.filter((_, i) => !good[i]).map(({ hash }) => hash);
}

/**
 * Is this pack in the store, as it should be? A host may have written it without us (presigned), so the store's own checksum
 * has to agree; where it keeps none, a pack that no earlier snapshot vouches for is read. What has another content is
 * removed, since nothing can be stored over it and no reader would take it.
 */
async function holdsPack(
  store: ObjectStore,
  key: string,
  { hash, length }: { hash: string; length: number },
  known: boolean,
): Promise<boolean> {
  const object = await store.head(key);
  if (object === undefined) return false;
  const sum = object.sha256 ?? (known && object.length === length ? hash : await hashInStore(store, key));
  if (sum === hash) return object.length === length;
  await store.remove(key);
  return false;
}

async function hashInStore(store: ObjectStore, key: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  const reader = (await store.get(key))?.body.getReader();
  if (reader === undefined) return "gone";
  for (let part = await reader.read(); !part.done; part = await reader.read()) hash.update(part.value);
  return hash.digest("hex");
}

/** What people see of it: the agents' own state is kept, and counted by nobody. */
export function sizes(manifest: Manifest): { files: number; bytes: number } {
  const files = manifest.entries
    .filter((entry) => entry.kind === "file")
    .filter(({ path }) => !path.startsWith(`${AGENT_FOLDER}/`));
  return { files: files.length, bytes: files.reduce((sum, file) => sum + file.size, 0) };
}

/** `ask` about each of `items`, in their order, `atOnce` at a time. */
export async function eachOf<T, R>(
  items: readonly T[],
  ask: (item: T) => Promise<R>,
  atOnce = CALLS_AT_ONCE,
): Promise<R[]> {
  const out = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    for (let i = next++; i < items.length; i = next++) out[i] = await ask(items[i]!);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return out;
}
