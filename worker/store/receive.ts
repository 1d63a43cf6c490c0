/**
 * Taking packs and snapshots from a host. A pack becomes visible only when its bytes have its name; a snapshot only when
 * everything it points to is there. Nothing here decides who may: the route has asked the session.
 */
import { zstdCompressSync } from "node:zlib";
import { LIMITS } from "#protocol/limits.ts";
import { readManifest } from "#protocol/manifest-read.ts";
import { applyDelta } from "#protocol/manifest-text.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import { AGENT_FOLDER, deltaSchema, type Manifest } from "#protocol/snapshot.ts";
import { packKey, type Shelf, snapshotKey } from "./keys.ts";
import { sha256, unpackManifest } from "./manifest-bytes.ts";
import type { ObjectStore, PutOutcome } from "./object-store.ts";

/** A Worker may have six connections open at once; R2 calls count. */
const CALLS_AT_ONCE = 6;

/** Stores a pack under its hash. `corrupt`: the bytes have another hash, and nothing was stored. */
export async function putPack(
  store: ObjectStore,
  shelf: Shelf,
  hash: string,
  body: ReadableStream | Uint8Array,
): Promise<PutOutcome> {
  return store.putIfAbsent(packKey(shelf, hash), body, hash);
}

/** Those of `hashes` that the store does not have, in their order. */
export async function missingPacks(store: ObjectStore, shelf: Shelf, hashes: readonly string[]): Promise<string[]> {
  const there = await eachOf(hashes, async (hash) => (await store.head(packKey(shelf, hash))) !== undefined);
  return hashes.filter((_, i) => !there[i]);
}

export type ReceivedSnapshot = { snapshotId: string; parent?: string; files: number; bytes: number };
export type SnapshotUpload = { body: Uint8Array; base?: string };

/**
 * Checks a manifest (or the delta from `base`'s) and stores it under its id; stored again it is the same. Gives what the
 * session is told when it commits. Refuses with `snapshot_invalid`, `base_unknown`, `packs_missing { missing }`.
 */
export async function putSnapshot(
  store: ObjectStore,
  shelf: Shelf,
  upload: SnapshotUpload,
): Promise<({ ok: true } & ReceivedSnapshot) | Rejection> {
  const text =
    upload.base === undefined ? unpackManifest(upload.body) : await fromDelta(store, shelf, upload.body, upload.base);
  if (text === undefined) return reject("snapshot_invalid", "the body is damaged or unpacks to too much");
  if (!(text instanceof Uint8Array)) return text;
  const parsed = readManifest(text);
  if (!parsed.ok) return reject("snapshot_invalid", parsed.wrong);
  const { manifest } = parsed;
  if (manifest.sessionId !== shelf.sessionId) return reject("snapshot_invalid", "the manifest is of another session");

  const absent = await absentPacks(store, shelf, manifest);
  if (absent.length > 0)
    return reject("packs_missing", `${absent.length} packs are not in the store`, { missing: absent });
  const snapshotId = sha256(text);
  await store.putIfAbsent(snapshotKey(shelf, snapshotId), zstdCompressSync(text));
  return {
    ok: true,
    snapshotId,
    ...(manifest.parent === undefined ? {} : { parent: manifest.parent }),
    ...sizes(manifest),
  };
}

/** The text that the delta makes of its base; a refusal; undefined when the delta is damaged. */
async function fromDelta(
  store: ObjectStore,
  shelf: Shelf,
  body: Uint8Array,
  base: string,
): Promise<Uint8Array | Rejection | undefined> {
  const object = await store.get(snapshotKey(shelf, base));
  const baseText = object && unpackManifest(await object.bytes());
  // A damaged base is as good as none: the host sends the whole.
  if (baseText === undefined || sha256(baseText) !== base) return reject("base_unknown", "send the manifest whole");
  const delta = unpackManifest(body);
  if (delta === undefined) return undefined;
  try {
    return applyDelta(baseText, deltaSchema.parse(JSON.parse(new TextDecoder().decode(delta))), LIMITS.manifestBytes);
  } catch (error) {
    return reject("snapshot_invalid", `not a delta: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Packs that are not there, or not with the length that the manifest counts on. */
async function absentPacks(store: ObjectStore, shelf: Shelf, manifest: Manifest): Promise<string[]> {
  const good = await eachOf(
    manifest.packs,
    async (pack) => (await store.head(packKey(shelf, pack.hash)))?.length === pack.length,
  );
  return manifest.packs.filter((_, i) => !good[i]).map(({ hash }) => hash);
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
