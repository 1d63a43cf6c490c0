/** Files of a lease that was lost, brought into the store beside the session's own snapshots (SNAPSHOT [P-snap-18]). */
import { zstdCompressSync } from "node:zlib";
import { forgetCurrent, readLast, readManifestText } from "./index-file.ts";
import type { SyncInput, SyncResult } from "./port.ts";
import { realTools, StoreClient, type StoreTools } from "./store-client.ts";
import { syncWorkspace } from "./sync.ts";

/**
 * Like a sync, under the epoch that was lost. Nobody may be writing there. What equals the last snapshot is handed in,
 * too, so that the session learns that nothing is missing. Throws what [syncWorkspace] throws; StoreError `already_kept`
 * when it was handed in before.
 */
export async function handInWorkspace(input: SyncInput, tools: StoreTools = realTools): Promise<SyncResult> {
  const handingIn = { ...input, store: { ...input.store, branch: true } };
  // A host without the lease reads nothing: what this disk does not know of its last snapshot is sent again.
  const last = readLast(input.stateDir);
  if (last !== undefined && readManifestText(input.stateDir, last.snapshotId) === undefined)
    forgetCurrent(input.stateDir);
  const result = await syncWorkspace(handingIn, tools);
  const text = result.changed ? undefined : readManifestText(input.stateDir, result.snapshotId);
  if (text === undefined) return result;
  const body = new Uint8Array(zstdCompressSync(text));
  await new StoreClient(handingIn, tools).commit({ body, bytesSent: body.length });
  return { ...result, bytesSent: body.length };
}
