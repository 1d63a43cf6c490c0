/**
 * The thread that scans, hashes, packs and writes the manifest, with synchronous file calls, so that the daemon's own loop
 * stays free. It talks to sync.ts, which has the network:
 *
 *   thread ◄── SyncThreadInput ───────   sync.ts                  one after the other
 *          ── changed ────────────►   sync.ts tells how many files
 *          ── pack { hash, bytes } ──►   sync.ts uploads          at most PACKS_AHEAD unconfirmed
 *          ◄── stored ───────────────
 *          ── built | failed ─────────►  sync.ts commits
 *          ── unreadable ────────────►   sync.ts fetches the last manifest and asks again
 */
import { parentPort } from "node:worker_threads";
import { constants, zstdCompressSync } from "node:zlib";
import { diffManifest } from "#protocol/manifest-text.ts";
import { codeOf } from "./errors.ts";
import { keepSnapshot } from "./index-file.ts";
import { type Known, knownState, remember } from "./known-state.ts";
import { lowerOf, readLayer, upperOf } from "./layer.ts";
import { sameSignatures } from "./signature.ts";
import { type BuildInput, buildSnapshot, prepareFor, type Totals } from "./snapshot-builder.ts";

export type SyncThreadInput = { root: string; stateDir: string; sessionId: string };
export type FromSyncThread =
  | { type: "changed"; files: number }
  | { type: "pack"; hash: string; bytes: Uint8Array<ArrayBuffer> }
  | { type: "built"; changed: false; snapshotId: string; totals: Totals }
  | { type: "built"; changed: true; snapshotId: string; totals: Totals; body: Uint8Array<ArrayBuffer>; base?: string }
  | { type: "unreadable" }
  | { type: "failed"; code: string; message: string };

const PACKS_AHEAD = 2;
const port = parentPort!;
let ahead = 0;
let room: (() => void) | undefined;
/** A thread has one workspace. */
const folders: NonNullable<BuildInput["folders"]> = { listings: undefined };

port.on("message", async (message: SyncThreadInput | "stored") => {
  if (message !== "stored") return port.postMessage(await answer(message));
  ahead--;
  room?.();
});

/** The next sync compares with `known`. */
function keepInMind(stateDir: string, known: Known): void {
  remember(stateDir, known);
  setImmediate(prepareFor, known);
}

async function emit(hash: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  ahead++;
  port.postMessage({ type: "pack", hash, bytes } satisfies FromSyncThread, [bytes.buffer]);
  while (ahead >= PACKS_AHEAD) await new Promise<void>((resolve) => (room = resolve));
}

async function build(input: SyncThreadInput): Promise<FromSyncThread> {
  const { root, stateDir, sessionId } = input;
  const last = knownState(stateDir);
  if (last === "unreadable") return { type: "unreadable" };
  const layer = readLayer(stateDir);
  const over = layer && { upper: upperOf(root, layer), lower: lowerOf(layer) };
  const built = await buildSnapshot({
    root,
    sessionId,
    now: Date.now,
    emit,
    changedFiles: (files) => port.postMessage({ type: "changed", files } satisfies FromSyncThread),
    over,
    // The kernel makes up an overlay's folders out of two: what their times say is not relied on.
    ...(layer === undefined ? { folders } : {}),
    ...(last === undefined ? {} : { last }),
  });
  const { snapshotId, signatures, totals } = built;
  if (!built.changed) {
    if (last !== undefined && !sameSignatures(signatures, last.signatures)) {
      keepSnapshot(stateDir, snapshotId, undefined, signatures);
      keepInMind(stateDir, { ...last, signatures });
    }
    return { type: "built", changed: false, snapshotId, totals };
  }
  keepSnapshot(stateDir, snapshotId, built.text, signatures);
  keepInMind(stateDir, { snapshotId, signatures, manifest: built.manifest, text: built.text });

  const whole = built.text;
  if (last === undefined) {
    return { type: "built", changed: true, snapshotId, totals, body: packed(whole) };
  }
  const delta = Buffer.from(JSON.stringify(diffManifest(last.text, whole)));
  return { type: "built", changed: true, snapshotId, totals, body: packed(delta), base: last.snapshotId };
}

/** Level 3: a manifest is small and read often. */
function packed(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(zstdCompressSync(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 3 } }));
}

async function answer(input: SyncThreadInput): Promise<FromSyncThread> {
  try {
    return await build(input);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { type: "failed", code: codeOf(error), message };
  }
}
