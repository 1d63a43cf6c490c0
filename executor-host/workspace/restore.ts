/**
 * Makes a workspace equal to a snapshot, whatever is there now. The new tree is built beside the old one and checked to
 * the last byte before it takes its place (restore-swap.ts): broken off at any moment, the workspace is the old one or,
 * once finished by whoever comes next, the new one. Called again after a failure, it goes on with what it has.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { stagingOf } from "./beside.ts";
import { hasCurrent, keepSnapshot, readManifestText, shareSnapshot } from "./index-file.ts";
import { lowerOf, readLayer, upperOf } from "./layer.ts";
import { type Bases, type RestoreInput, type RestoreResult, StoreError } from "./port.ts";
import { removeTree } from "./remove-tree.ts";
import { errorOf } from "./restore-failure.ts";
import { finishInterruptedRestore, stepsThatFail, swapIn } from "./restore-swap.ts";
import type { FromRestoreThread, RestoreThreadInput, ToRestoreThread } from "./restore-thread.ts";
import {
  endRestoreThreads,
  failureOf,
  giveBackRestoreThreads,
  type RestoreThreads,
  takeRestoreThreads,
} from "./restore-threads.ts";
import { realTools, StoreClient, type StoreTools } from "./store-client.ts";
import { type Base, findBase, findTree, makeBase, pruneBases, stateOf, treeOf } from "./warm-base.ts";

/** `failBefore` is for tests: the step before which everything ends as if the daemon had been killed. */
export type RestoreTools = StoreTools & { failBefore?: string };
type Restored = Extract<FromRestoreThread, { type: "restored" }>;

/**
 * Restores `input.snapshotId` into `input.root`. Afterwards the tree equals the snapshot: what is not in it is gone.
 * `bytesFetched` counts the bytes of packs and manifest that came over the network.
 * Throws StoreError: `not_found`, `snapshot_invalid`, `store_corrupt`, `names_collide`, `workspace_unusable`, `disk_full`
 * and what the store answers; the signal's reason; or the root's own error. The workspace is then as it was.
 */
export async function restoreWorkspace(input: RestoreInput, tools: RestoreTools = realTools): Promise<RestoreResult> {
  finishInterruptedRestore(input);
  // A tree of its own that is there already has most of what is wanted: better than a base that has to be made.
  const hasOwnTree = hasCurrent(input.stateDir) && readLayer(input.stateDir) === undefined;
  if (input.bases === undefined || hasOwnTree) return await restoreTree(input, tools);
  return await restoreOnBase(input, input.bases, tools);
}

/** On a base that is there, without a file made, and at most a manifest from the store; else the base is made first. */
async function restoreOnBase(input: RestoreInput, bases: Bases, tools: RestoreTools): Promise<RestoreResult> {
  const { snapshotId, stateDir } = input;
  let base = findBase(bases, snapshotId);
  let bytesFetched = 0;
  if (base === undefined) {
    const manifest = await haveManifest(input, tools);
    bytesFetched = manifest.bytesFetched;
    const tree = treeOf(manifest.text);
    base = findTree(bases, tree);
    base ??= await makeBase(bases, tree, async (place) => {
      keepSnapshot(place.stateDir, snapshotId, manifest.text, new Map());
      const restored = await restoreTree({ ...input, ...place }, tools);
      bytesFetched += restored.bytesFetched;
      return restored;
    });
    // The next time, nothing has to be fetched to know it.
    const known = stateOf(base.folder);
    shareSnapshot({ manifestFrom: stateDir, indexFrom: known }, known, snapshotId);
  }
  input.signal?.throwIfAborted();
  lieOn(base, input, tools.failBefore);
  pruneBases(bases);
  return { files: base.files, bytes: base.bytes, bytesFetched };
}

/** Makes the workspace a new, empty layer over `base`. */
function lieOn(base: Base, { root, stateDir, snapshotId, owner }: RestoreInput, failBefore?: string): void {
  const layer = { name: randomBytes(4).toString("hex"), base: base.folder };
  const upper = upperOf(root, layer);
  mkdirSync(upper, { recursive: true, mode: 0o700 });
  chmodSync(upper, (lstatSync(root, { throwIfNoEntry: false }) ?? lstatSync(lowerOf(layer))).mode & 0o7777);
  if (owner !== undefined) chownSync(upper, owner.uid, owner.gid);
  const known = stateOf(base.folder);
  shareSnapshot({ manifestFrom: known, indexFrom: known }, stateDir, snapshotId);
  swapIn({ root, stateDir }, snapshotId, stepsThatFail(failBefore), layer);
}

async function restoreTree(input: RestoreInput, tools: RestoreTools): Promise<RestoreResult> {
  const { root, stateDir, sessionId, snapshotId, owner } = input;
  finishInterruptedRestore(input);
  const client = new StoreClient(input, tools);
  // They start while the manifest comes.
  const threads = takeRestoreThreads();
  let isUsable = false;
  try {
    const manifest = await haveManifest(input, tools);
    let { bytesFetched } = manifest;
    const asked: RestoreThreadInput = {
      root,
      stateDir,
      sessionId,
      snapshotId,
      text: shared(manifest.text),
      ...(owner === undefined ? {} : { owner }),
      ...(tools.failBefore === undefined ? {} : { failBefore: tools.failBefore }),
    };
    const restored = await runThreads(threads, asked, input.signal, async ({ pack, packLength, range }) => {
      const bytes = await (range === undefined ? client.getPack(pack, packLength) : client.getRange(pack, range));
      bytesFetched += bytes.length;
      return bytes;
    });
    isUsable = true;
    return { files: restored.files, bytes: restored.bytes, bytesFetched };
  } catch (error) {
    // They may still be writing.
    await endRestoreThreads(threads);
    // What was written so far serves a next try. Where there will be none, or no room, it would only lie around.
    if (error instanceof StoreError && (!error.retry || error.reason === "disk_full")) {
      removeTree(stagingOf(root, snapshotId));
    }
    throw error;
  } finally {
    if (isUsable) giveBackRestoreThreads(threads);
  }
}

/** The snapshot's manifest, fetched when the state folder lacks it, and how many bytes came for it. */
async function haveManifest(
  input: RestoreInput,
  tools: RestoreTools,
): Promise<{ text: Uint8Array; bytesFetched: number }> {
  const { stateDir, snapshotId } = input;
  const kept = readManifestText(stateDir, snapshotId);
  if (kept !== undefined) return { text: kept, bytesFetched: 0 };
  const fetched = await new StoreClient(input, tools).getManifest(snapshotId);
  keepSnapshot(stateDir, snapshotId, fetched.text, new Map());
  return fetched;
}

type Asked = Extract<FromRestoreThread, { type: "fetch" }>;

async function runThreads(
  threads: RestoreThreads,
  input: RestoreThreadInput,
  signal: AbortSignal | undefined,
  fetchPart: (asked: Asked) => Promise<Uint8Array>,
): Promise<Restored> {
  signal?.throwIfAborted();
  const { lead } = threads;
  const restored = new Promise<Restored>((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    lead.on("message", (message: FromRestoreThread) => {
      if (message.type === "restored") return resolve(message);
      if (message.type === "failed") return reject(errorOf(message));
      fetchPart(message).then((bytes) => lead.postMessage({ id: message.id, bytes } satisfies ToRestoreThread), reject);
    });
    lead.postMessage(input);
  });
  return await Promise.race([restored, failureOf(threads)]);
}

/** In memory that threads share, instead of one copy for each of them. */
function shared(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}
