/**
 * The thread that turns a manifest into a tree. restore.ts has the network: the thread asks it for parts of packs.
 *
 *   manifest checked ─► already there? ─► staging: take over, fetch, write, links, flush, modes ─► swap (restore-swap.ts)
 */
import { existsSync, lstatSync, mkdirSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { readManifest } from "#protocol/manifest-read.ts";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";
import { stagingOf, sweepStaging } from "./beside.ts";
import { collision, foldingOf } from "./collisions.ts";
import { FileWriter, lackingOf, numbersOf, type Owner } from "./file-writer.ts";
import { flushTree } from "./flush-tree.ts";
import { partOf, writeShare } from "./frame-work.ts";
import { keepSnapshot, type LastSnapshot, parseManifest, readLast, readManifestText } from "./index-file.ts";
import { readLayer } from "./layer.ts";
import { StoreError } from "./port.ts";
import { type Failed, failure } from "./restore-failure.ts";
import { type Fetch, planRestore } from "./restore-plan.ts";
import { type Step, stepsThatFail, swapIn } from "./restore-swap.ts";
import { type Seen, type Signatures, signatureOf } from "./signature.ts";
import { buildSnapshot } from "./snapshot-builder.ts";
import { StagingTree } from "./staging-tree.ts";
import { Writers } from "./writers.ts";

export type RestoreThreadInput = {
  root: string;
  stateDir: string;
  sessionId: string;
  snapshotId: string;
  /** The manifest's text, whose hash is the snapshot's id. */
  text: Uint8Array;
  owner?: Owner;
  /** For tests: the step before which the thread fails as if it had been killed. */
  failBefore?: string;
};
export type ToRestoreThread = RestoreThreadInput | { id: number; bytes: Uint8Array };
export type FromRestoreThread =
  | { type: "fetch"; id: number; pack: string; packLength: number; range?: { offset: number; length: number } }
  | { type: "restored"; files: number; bytes: number }
  | Failed;

const FETCHES_IN_FLIGHT = 4;
const DEFAULT_ROOT_MODE = 0o755;
const port = parentPort!;
const writers = new Writers((workerData as { writers: MessagePort[] }).writers);
const waiting = new Map<number, (bytes: Uint8Array) => void>();

port.on("message", async (message: ToRestoreThread) => {
  if ("id" in message) {
    waiting.get(message.id)?.(message.bytes);
    waiting.delete(message.id);
    return;
  }
  port.postMessage(await restore(message).catch(failure));
});

async function restore(input: RestoreThreadInput): Promise<FromRestoreThread> {
  const { root, stateDir, snapshotId, text, owner } = input;
  const step = stepsThatFail(input.failBefore);
  const staging = stagingOf(root, snapshotId);
  writers.begin({ text, staging, owner });
  const read = readManifest(text);
  if (!read.ok) throw new StoreError("snapshot_invalid", read.wrong, false);
  const { manifest } = read;
  const files = manifest.entries.filter((entry) => entry.kind === "file");
  const done = { type: "restored", files: files.length, bytes: sizeOf(files) } as const;
  const last = await lastOf(input, manifest);
  if (last?.same === true) {
    sweepStaging(root);
    return done;
  }

  const resumes = prepareStaging(input, staging);
  const tree = new StagingTree(staging, owner);
  // Before anything is written there.
  if (resumes) tree.reopen(manifest.entries);
  const folded = collision(manifest, foldingOf(staging));
  if (folded !== undefined) {
    throw new StoreError("names_collide", `${folded.join(" and ")} are one name on this file system`, false);
  }
  let left = resumes ? tree.keepWhole(files) : files;
  const makeDirectories = () => {
    step("directories");
    tree.makeDirectories(manifest.entries);
  };
  const takesOver = last !== undefined && existsSync(root);
  if (takesOver) {
    makeDirectories();
    left = tree.takeOver(root, left, last);
  }
  haveRoom(staging, left);
  step("files");
  const written = await writeFiles(input, manifest, left, step, takesOver ? () => {} : makeDirectories);
  step("links");
  tree.makeLinks(manifest.entries);
  // Before the modes: some keep their owner from reading what he has to flush.
  step("flush");
  flushTree(staging);
  step("modes");
  const rootMode = lstatSync(root, { throwIfNoEntry: false })?.mode ?? DEFAULT_ROOT_MODE;
  tree.settleDirectories(manifest.entries, rootMode & 0o7777);
  keepSnapshot(stateDir, snapshotId, undefined, signaturesOf([...tree.finished, ...written]));
  swapIn({ root, stateDir }, snapshotId, step);
  return done;
}

/** What this disk has of an earlier snapshot, and whether it is exactly the one that is asked for. */
async function lastOf(
  { root, stateDir, sessionId, snapshotId }: RestoreThreadInput,
  wanted: Manifest,
): Promise<(LastSnapshot & { manifest: Manifest; same: boolean }) | undefined> {
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
function prepareStaging(input: RestoreThreadInput, staging: string): boolean {
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
  sweepStaging(input.root, staging);
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

/** Writes `left`, with all threads; `meanwhile`, the first parts are on their way. Gives what the file system says of them. */
async function writeFiles(
  { root, snapshotId, owner }: RestoreThreadInput,
  manifest: Manifest,
  left: readonly SnapshotFile[],
  step: Step,
  meanwhile: () => void,
): Promise<[path: string, seen: Seen][]> {
  const lacking = lackingOf(left);
  const writer = new FileWriter(stagingOf(root, snapshotId), owner, left, lacking);
  writers.write(numbersOf(manifest, left), lacking);
  const fetches = planRestore(manifest, left);
  let next = 0;
  const lane = async () => {
    for (let at = next++; at < fetches.length; at = next++) {
      const part = partOf(at, await fetchPart(fetches[at]!));
      const shared = writers.share(part);
      writeShare(part, fetches, writer);
      await shared;
      step("between-packs");
    }
  };
  const lanes = Array.from({ length: FETCHES_IN_FLIGHT }, lane);
  meanwhile();
  for (const file of left) if (file.size === 0) writer.writeEmpty(file);
  await Promise.all(lanes);
  return [...writer.finished, ...(await writers.end())];
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

/** What the next sync compares with: of each file that was written or taken over. */
function signaturesOf(finished: readonly [path: string, seen: Seen][]): Signatures {
  const now = Date.now();
  return new Map(finished.map(([path, seen]) => [path, signatureOf(seen, now)]));
}
