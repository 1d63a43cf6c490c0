/**
 * Makes a workspace equal to a snapshot, whatever is there now. The new tree is built beside the old one and checked to
 * the last byte before it takes its place (restore-swap.ts): broken off at any moment, the workspace is the old one or,
 * once finished by whoever comes next, the new one. Called again after a failure, it goes on with what it has.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { hasCurrent, keepSnapshot, readManifestText, shareSnapshot } from "./index-file.ts";
import { lowerOf, readLayer, upperOf } from "./layer.ts";
import { type RestoreInput, type RestoreResult, StoreError } from "./port.ts";
import { removeTree } from "./remove-tree.ts";
import { finishInterruptedRestore, stagingOf, stepsThatFail, swapIn } from "./restore-swap.ts";
import type { FromRestoreThread, RestoreThreadInput, ToRestoreThread } from "./restore-thread.ts";
import { realTools, StoreClient, type StoreTools } from "./store-client.ts";
import { type Base, type Bases, findBase, findTree, makeBase, pruneBases, stateOf, treeOf } from "./warm-base.ts";

/** `failBefore` is for tests: the step before which everything ends as if the daemon had been killed. */
export type RestoreTools = StoreTools & { failBefore?: string };
/** A restore makes and drops some objects for each file; the default of 16 MB has them collected over and over. */
const YOUNG_GENERATION_MB = 64;
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
    bytesFetched = await haveManifest(input, tools);
    const tree = treeOf(readManifestText(stateDir, snapshotId) ?? new Uint8Array(0));
    base = findTree(bases, tree);
    base ??= await makeBase(bases, tree, async (place) => {
      keepSnapshot(place.stateDir, snapshotId, readManifestText(stateDir, snapshotId), new Map());
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
  let bytesFetched = await haveManifest(input, tools);
  const workerData: RestoreThreadInput = {
    root,
    stateDir,
    sessionId,
    snapshotId,
    ...(owner === undefined ? {} : { owner }),
    ...(tools.failBefore === undefined ? {} : { failBefore: tools.failBefore }),
  };
  try {
    const restored = await runThread(workerData, input.signal, async ({ pack, packLength, range }) => {
      const bytes = await (range === undefined ? client.getPack(pack, packLength) : client.getRange(pack, range));
      bytesFetched += bytes.length;
      return bytes;
    });
    return { files: restored.files, bytes: restored.bytes, bytesFetched };
  } catch (error) {
    // What was written so far serves a next try. Where there will be none, or no room, it would only lie around.
    if (error instanceof StoreError && (!error.retry || error.reason === "disk_full")) {
      removeTree(stagingOf(root, snapshotId));
    }
    throw error;
  }
}

/** Fetches the snapshot's manifest when the state folder lacks it; gives the bytes that came for it. */
async function haveManifest(input: RestoreInput, tools: RestoreTools): Promise<number> {
  const { stateDir, snapshotId } = input;
  if (readManifestText(stateDir, snapshotId) !== undefined) return 0;
  const { text, bytesFetched } = await new StoreClient(input, tools).getManifest(snapshotId);
  keepSnapshot(stateDir, snapshotId, text, new Map());
  return bytesFetched;
}

type Asked = Extract<FromRestoreThread, { type: "fetch" }>;

async function runThread(
  workerData: RestoreThreadInput,
  signal: AbortSignal | undefined,
  fetchPart: (asked: Asked) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Restored> {
  signal?.throwIfAborted();
  const worker = new Worker(new URL("./restore-thread.ts", import.meta.url), {
    workerData,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
  });
  try {
    return await new Promise<Restored>((resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the restore thread ended with ${code}`)));
      worker.on("message", (message: FromRestoreThread) => {
        if (message.type === "restored") return resolve(message);
        if (message.type === "failed") return reject(errorOf(message));
        fetchPart(message).then(
          (bytes) => worker.postMessage({ id: message.id, bytes } satisfies ToRestoreThread, [bytes.buffer]),
          reject,
        );
      });
    });
  } finally {
    await worker.terminate();
  }
}

function errorOf({ reason, message, retry, known }: Extract<FromRestoreThread, { type: "failed" }>): Error {
  return known ? new StoreError(reason, message, retry) : Object.assign(new Error(message), { code: reason });
}
