/**
 * A snapshot of one session as the first one of another. The packs are copied inside the store, so that both sessions own
 * all that they need and no key ever reaches into another session's shelf (durable/decisions/0008).
 */
import { chunksOf } from "#protocol/manifest-check.ts";
import { readManifest } from "#protocol/manifest-read.ts";
import { encodeManifest } from "#protocol/manifest-text.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import type { Manifest, SnapshotPack } from "#protocol/snapshot.ts";
import { StoreDamage } from "./frames.ts";
import { packKey, type Shelf } from "./keys.ts";
import { sha256 } from "./manifest-bytes.ts";
import { type ObjectStore, StoreUnavailable } from "./object-store.ts";
import { loadManifestText } from "./read.ts";
import { eachOf, putManifest, sizes } from "./receive.ts";

const GiB = 1024 ** 3;
/** A request may make 1,000 calls to the store, and a pack takes three; a copy runs at the speed of the store. */
export const FORK_LIMITS = { packs: 300, bytes: 8 * GiB };
/** Each copy reads and writes at once; a Worker may have six connections open. */
const COPIES_AT_ONCE = 3;

export type ForkRules = {
  /** As in CommitRules, of the new session's shelf. */
  countOn?: (names: readonly string[]) => Promise<ReadonlySet<string>>;
  /** Room for so many bytes in the new session's shelf; or the refusal. */
  reserve?: (bytes: number) => Promise<Rejection | undefined>;
};
export type ForkedSnapshot = { ok: true; snapshotId: string; files: number; bytes: number };

/**
 * Makes `snapshotId` of `from` a snapshot of `to`; done again, it is the same snapshot and nothing is copied twice. Refuses
 * with `snapshot_not_found`, `too_large_to_fork`, `gone`. Throws StoreDamage.
 */
export async function forkSnapshot(
  store: ObjectStore,
  from: Shelf,
  to: Shelf,
  snapshotId: string,
  { countOn, reserve }: ForkRules = {},
): Promise<ForkedSnapshot | Rejection> {
  const text = await loadManifestText(store, from, snapshotId);
  if (text === undefined) return reject("snapshot_not_found", "there is no such snapshot of this session");
  const read = readManifest(text);
  if (!read.ok) throw new StoreDamage(`snapshot ${snapshotId}: ${read.wrong}`, false);
  const { parent: _ofTheOther, ...rest } = read.manifest;
  const manifest: Manifest = { ...rest, sessionId: to.sessionId, packs: neededPacks(read.manifest) };
  const bytes = manifest.packs.reduce((sum, { length }) => sum + length, 0);
  if (manifest.packs.length > FORK_LIMITS.packs || bytes > FORK_LIMITS.bytes)
    return reject(
      "too_large_to_fork",
      `${manifest.packs.length} packs with ${bytes} bytes are too much to copy at once`,
    );

  const forked = encodeManifest(manifest);
  const id = sha256(forked);
  const refused = await reserve?.(bytes);
  if (refused !== undefined) return refused;
  const names = [`snapshots/${id}`, ...manifest.packs.map(({ hash }) => `packs/${hash}`)];
  if (((await countOn?.(names))?.size ?? 0) > 0)
    throw new StoreUnavailable("what an earlier try of this fork has left is being removed");
  const copied = await eachOf(manifest.packs, (pack) => copyPack(store, from, to, pack), COPIES_AT_ONCE);
  if (copied.includes("gone")) return reject("gone", "the content of this snapshot was removed");
  // Only now: a snapshot is there when everything that it points to is.
  await putManifest(store, to, id, forked);
  return { ok: true, snapshotId: id, ...sizes(manifest) };
}

/** Packs that hold nothing that is still in use stay behind. */
function neededPacks({ packs, entries }: Manifest): SnapshotPack[] {
  const needed = new Set(entries.flatMap((entry) => (entry.kind === "file" ? chunksOf(entry) : [])));
  return packs.filter(({ frames }) => frames.some(({ chunks }) => chunks.some(({ hash }) => needed.has(hash))));
}

async function copyPack(store: ObjectStore, from: Shelf, to: Shelf, pack: SnapshotPack): Promise<"there" | "gone"> {
  const key = packKey(to, pack.hash);
  if ((await store.head(key))?.length === pack.length) return "there";
  const object = await store.get(packKey(from, pack.hash));
  if (object === undefined) return "gone";
  // The store compares the bytes with the name while it takes them in.
  if ((await store.putIfAbsent(key, { stream: object.body, length: pack.length }, pack.hash)) === "corrupt")
    throw new StoreDamage(`pack ${pack.hash} is damaged`, false);
  return "there";
}
