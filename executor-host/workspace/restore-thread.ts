/**
 * The thread that turns a manifest into a tree. restore.ts has the network: the thread asks it for parts of packs.
 *
 *   manifest checked ─► already there? ─► staging: take over, fetch, write, links, flush, modes ─► swap (restore-swap.ts)
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, statfsSync } from "node:fs";
import { dirname, join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { readManifest } from "#protocol/manifest-read.ts";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";
import { collision, foldingOf } from "./collisions.ts";
import { codeOf } from "./errors.ts";
import { flushTree } from "./flush-tree.ts";
import { readFrame } from "./frame-reader.ts";
import { keepSnapshot, type LastSnapshot, parseManifest, readLast, readManifestText } from "./index-file.ts";
import { readLayer } from "./layer.ts";
import { StoreError } from "./port.ts";
import { removeTree } from "./remove-tree.ts";
import { type Fetch, planRestore } from "./restore-plan.ts";
import { isStaging, stagingOf, stepsThatFail, swapIn } from "./restore-swap.ts";
import { buildSnapshot } from "./snapshot-builder.ts";
import { type Owner, StagingWriter } from "./staging-writer.ts";
import { Damaged } from "./store-client.ts";

export type RestoreThreadInput = {
  root: string;
  stateDir: string;
  sessionId: string;
  snapshotId: string;
  owner?: Owner;
  /** For tests: the step before which the thread fails as if it had been killed. */
  failBefore?: string;
};
export type FromRestoreThread =
  | { type: "fetch"; id: number; pack: string; packLength: number; range?: { offset: number; length: number } }
  | { type: "restored"; files: number; bytes: number }
  | { type: "failed"; reason: string; message: string; retry: boolean; known: boolean };
export type ToRestoreThread = { id: number; bytes: Uint8Array<ArrayBuffer> };

const FETCHES_IN_FLIGHT = 4;
const DEFAULT_ROOT_MODE = 0o755;
const port = parentPort!;
const input = workerData as RestoreThreadInput;
const waiting = new Map<number, (bytes: Uint8Array) => void>();

port.on("message", ({ id, bytes }: ToRestoreThread) => {
  waiting.get(id)?.(bytes);
  waiting.delete(id);
});

const step = stepsThatFail(input.failBefore);

async function restore(): Promise<FromRestoreThread> {
  const { root, stateDir, snapshotId } = input;
  const { manifest, text } = checkedManifest();
  const files = manifest.entries.filter((entry) => entry.kind === "file");
  const done = { type: "restored", files: files.length, bytes: sizeOf(files) } as const;
  const last = await lastOf(manifest);
  if (last?.same === true) return done;

  const staging = stagingOf(root, snapshotId);
  const resumes = prepareStaging(staging);
  const folded = collision(manifest, foldingOf(staging));
  if (folded !== undefined) {
    throw new StoreError("names_collide", `${folded.join(" and ")} are one name on this file system`, false);
  }
  const writer = new StagingWriter(staging, input.owner);
  step("directories");
  writer.makeDirectories(manifest.entries);
  let left = resumes ? writer.keepWhole(files) : files;
  if (last !== undefined && existsSync(root)) left = writer.takeOver(root, left, last);
  haveRoom(staging, left);
  step("files");
  await writeFiles(writer, manifest, left);
  step("links");
  writer.makeLinks(manifest.entries);
  // Before the modes: some keep their owner from reading what he has to flush.
  step("flush");
  flushTree(staging);
  step("modes");
  const rootMode = lstatSync(root, { throwIfNoEntry: false })?.mode ?? DEFAULT_ROOT_MODE;
  writer.settleDirectories(manifest.entries, rootMode & 0o7777);
  keepSnapshot(stateDir, snapshotId, text, writer.signatures());
  swapIn({ root, stateDir }, snapshotId, step);
  return done;
}

/** The manifest that restore.ts has put into the state folder, by schema and rules. Throws StoreError. */
function checkedManifest(): { manifest: Manifest; text: Uint8Array } {
  const text = readManifestText(input.stateDir, input.snapshotId);
  if (text === undefined) throw new Error("the manifest is gone from the state folder");
  const read = readManifest(text);
  if (!read.ok) throw new StoreError("snapshot_invalid", read.wrong, false);
  return { manifest: read.manifest, text };
}

/** What this disk has of an earlier snapshot, and whether it is exactly the one that is asked for. */
async function lastOf(wanted: Manifest): Promise<(LastSnapshot & { manifest: Manifest; same: boolean }) | undefined> {
  const { root, stateDir, sessionId, snapshotId } = input;
  const last = readLast(stateDir);
  if (last === undefined || !existsSync(root)) return undefined;
  if (last.snapshotId === snapshotId) {
    const emit = () => Promise.resolve();
    const built = await buildSnapshot({ root, sessionId, last: { ...last, manifest: wanted }, now: Date.now, emit });
    return { ...last, manifest: wanted, same: !built.changed };
  }
  const text = readManifestText(stateDir, last.snapshotId);
  return text && { ...last, manifest: parseManifest(text), same: false };
}

/** Makes the staging folder, or finds what a broken-off restore of the same snapshot left. Others go. */
function prepareStaging(staging: string): boolean {
  const parent = dirname(staging);
  mkdirSync(parent, { recursive: true });
  const root = lstatSync(input.root, { throwIfNoEntry: false });
  const foreign = root !== undefined && root.dev !== lstatSync(parent).dev && readLayer(input.stateDir) === undefined;
  if (root !== undefined && (!root.isDirectory() || foreign)) {
    throw new StoreError(
      "workspace_unusable",
      `${input.root} has to be a plain directory, not a link or a mount`,
      false,
    );
  }
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (isStaging(input.root, name) && path !== staging) removeTree(path);
  }
  const resumes = existsSync(staging);
  mkdirSync(staging, { recursive: true, mode: 0o700 });
  return resumes;
}

/** Asks for the room before a byte is written. Throws StoreError `disk_full`. */
function haveRoom(staging: string, files: readonly SnapshotFile[]): void {
  const { bavail, bsize, ffree, files: inodes } = statfsSync(staging);
  const needed = files.reduce((sum, file) => sum + Math.ceil(file.size / bsize) * bsize, 0);
  if (needed > bavail * bsize) {
    throw new StoreError("disk_full", `the workspace needs ${needed} bytes, ${bavail * bsize} are free`, true);
  }
  // Some file systems make inodes as they go and say 0 of 0.
  if (inodes > 0 && files.length > ffree)
    throw new StoreError("disk_full", `${files.length} files, ${ffree} inodes are free`, true);
}

async function writeFiles(writer: StagingWriter, manifest: Manifest, files: readonly SnapshotFile[]): Promise<void> {
  for (const file of files) if (file.size === 0) writer.writeEmpty(file);
  const plan = planRestore(manifest, files);
  const lane = async () => {
    for (let next = plan.shift(); next !== undefined; next = plan.shift()) {
      const bytes = await fetchPart(next);
      const start = next.range?.offset ?? 0;
      for (const frame of next.frames) {
        const packed = bytes.subarray(frame.offset - start, frame.offset - start + frame.length);
        for (const [chunk, content] of await readFrame(frame, packed)) writer.writeChunk(chunk, content);
      }
      step("between-packs");
    }
  };
  await Promise.all(Array.from({ length: FETCHES_IN_FLIGHT }, lane));
}

let lastId = 0;
function fetchPart({ pack, packLength, range }: Fetch): Promise<Uint8Array> {
  const id = ++lastId;
  port.postMessage({
    type: "fetch",
    id,
    pack,
    packLength,
    ...(range === undefined ? {} : { range }),
  } satisfies FromRestoreThread);
  return new Promise((resolve) => waiting.set(id, resolve));
}

function sizeOf(files: readonly SnapshotFile[]): number {
  return files.reduce((sum, file) => sum + file.size, 0);
}

/** What the daemon gets to see. */
function failure(error: unknown): FromRestoreThread {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof StoreError)
    return { type: "failed", reason: error.reason, message, retry: error.retry, known: true };
  if (error instanceof Damaged) return { type: "failed", reason: "store_corrupt", message, retry: false, known: true };
  if (codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT") {
    return { type: "failed", reason: "disk_full", message, retry: true, known: true };
  }
  return { type: "failed", reason: codeOf(error), message, retry: false, known: false };
}

try {
  port.postMessage(await restore());
} catch (error) {
  port.postMessage(failure(error));
}
port.unref();
