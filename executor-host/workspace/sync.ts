/**
 * Brings a workspace into the store. Order is everything: packs first, each confirmed; then the manifest, which the edge
 * checks and commits under the lease's epoch; last the note on this host's disk of what the workspace now equals. Broken
 * off anywhere, the store holds unreferenced packs at worst and the next sync does the rest.
 */
import { zstdCompressSync } from "node:zlib";
import { forgetCurrent, keepSnapshot, makeCurrent, readCurrentId, readLast, readManifestText } from "./index-file.ts";
import { StoreError, type SyncInput, type SyncResult } from "./port.ts";
import { finishInterruptedRestore } from "./restore-swap.ts";
import { realTools, StoreClient, type StoreTools } from "./store-client.ts";
import type { FromSyncThread, SyncThreadInput } from "./sync-thread.ts";
import { giveBack, takeThread } from "./sync-threads.ts";

type Built = Extract<FromSyncThread, { type: "built" }>;
type Changed = Extract<Built, { changed: true }>;

/**
 * Syncs `input.root`. `changed: false` when it equals the last snapshot: then nothing was sent and `snapshotId` is that
 * one's. `omitted` counts what is not in the snapshot, or not as it was, and was not left out by policy.
 * Throws StoreError (`retry` says whether a later sync may succeed), the signal's reason, or the root's own error.
 */
export async function syncWorkspace(input: SyncInput, tools: StoreTools = realTools): Promise<SyncResult> {
  finishInterruptedRestore(input);
  const client = new StoreClient(input, tools);
  const onDisk = readCurrentId(input.stateDir);
  if (onDisk === undefined && input.lastSnapshotId !== undefined) await fetchLast(input, client, input.lastSnapshotId);

  let bytesSent = 0;
  const upload = async (hash: string, bytes: Uint8Array<ArrayBuffer>) => {
    if ((await client.missing([hash])).length === 0) return;
    await client.putPack(hash, bytes);
    bytesSent += bytes.length;
  };
  let built = await runThread(input, upload);
  if (built === "unreadable" && onDisk !== undefined) {
    await fetchLast(input, client, onDisk);
    built = await runThread(input, upload);
  }
  if (built === "unreadable") throw new Error(`the manifest of the last snapshot cannot be read in ${input.stateDir}`);
  if (built.changed) bytesSent = await commit(input, client, built, bytesSent);
  makeCurrent(input.stateDir, built.snapshotId);
  return { snapshotId: built.snapshotId, changed: built.changed, bytesSent, ...built.totals };
}

/** Commits what was built; gives all bytes sent. Throws StoreError. */
async function commit(input: SyncInput, client: StoreClient, built: Changed, packBytes: number): Promise<number> {
  try {
    const { snapshotId, bytesSent } = await commitAsDelta(input, client, built, packBytes);
    if (snapshotId === built.snapshotId) return bytesSent;
    const message = `the store committed ${snapshotId}, this host made ${built.snapshotId}`;
    throw new StoreError("snapshot_mismatch", message, false);
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason !== "packs_missing") throw error;
    // Our last snapshot points to what the store no longer has: the next sync has to begin anew.
    forgetCurrent(input.stateDir);
    throw new StoreError(error.reason, error.message, true);
  }
}

/** As a delta where there is a base; whole when the store lacks the base. */
async function commitAsDelta(
  { stateDir }: SyncInput,
  client: StoreClient,
  { body, base, snapshotId }: Changed,
  packBytes: number,
): Promise<{ snapshotId: string; bytesSent: number }> {
  let bytesSent = packBytes + body.length;
  try {
    const committed = await client.commit({ body, bytesSent, ...(base === undefined ? {} : { base }) });
    return { snapshotId: committed, bytesSent };
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason !== "base_unknown") throw error;
    const text = readManifestText(stateDir, snapshotId);
    if (text === undefined) throw error;
    const whole = new Uint8Array(zstdCompressSync(text));
    bytesSent += whole.length;
    return { snapshotId: await client.commit({ body: whole, bytesSent }), bytesSent };
  }
}

/** The manifest that the workspace is compared with is not on this disk: fetch it, or begin without. */
async function fetchLast({ stateDir }: SyncInput, client: StoreClient, snapshotId: string): Promise<void> {
  try {
    const { text } = await client.getManifest(snapshotId);
    keepSnapshot(stateDir, snapshotId, text, readLast(stateDir)?.signatures ?? new Map());
    makeCurrent(stateDir, snapshotId);
  } catch (error) {
    if (!(error instanceof StoreError) || error.reason !== "not_found") throw error;
    forgetCurrent(stateDir);
  }
}

/** Runs the thread to its end, uploading what it packs. Throws what the first upload that failed threw. */
async function runThread(
  input: SyncInput,
  upload: (hash: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
): Promise<Built | "unreadable"> {
  const { root, stateDir, sessionId, signal } = input;
  signal?.throwIfAborted();
  const worker = takeThread(stateDir);
  const uploads: Promise<void>[] = [];
  const stop = new AbortController();
  const stopped = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  let isUsable = false;
  try {
    const built = await new Promise<Built | "unreadable">((resolve, reject) => {
      stopped.addEventListener("abort", () => reject(stopped.reason), { once: true });
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`the sync thread ended with ${code}`)));
      worker.on("message", (message: FromSyncThread) => {
        if (message.type === "built") resolve(message);
        else if (message.type === "unreadable") resolve("unreadable");
        else if (message.type === "failed") reject(errorOf(message));
        else if (message.type === "changed") input.changedFiles?.(message.files);
        else {
          const done = upload(message.hash, message.bytes);
          uploads.push(done);
          done.then(
            () => worker.postMessage("stored"),
            (error) => stop.abort(error),
          );
        }
      });
      worker.postMessage({ root, stateDir, sessionId } satisfies SyncThreadInput);
    });
    await Promise.all(uploads);
    isUsable = true;
    return built;
  } finally {
    if (isUsable) giveBack(worker, stateDir);
    else await worker.terminate();
  }
}

function errorOf({ code, message }: Extract<FromSyncThread, { type: "failed" }>): Error {
  if (code === "ENOSPC" || code === "EDQUOT") return new StoreError("disk_full", message, true);
  return Object.assign(new Error(message), { code });
}
