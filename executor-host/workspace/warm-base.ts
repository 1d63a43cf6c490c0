/**
 * Trees of snapshots that this host has restored once, shown to any number of workspaces at the same time, so that a new
 * session on a known base creates no file. Two snapshots of the same tree, a session's and its fork's, share one:
 *
 *   <bases>/<tree>/tree/    exactly the snapshot; only ever read, as an overlay's lower layer
 *                 /state/   the index of the snapshot that it was made for, which is current there, and the manifests of
 *                           all snapshots of this tree so far (index-file.ts)
 *                 /used     touched when somebody takes it: what was not used longest goes first
 *   <bases>/.making-<tree>  being restored; a try that was broken off goes on there
 *
 * A base that a workspace lies on is never removed.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { isMountable, overlayWorks } from "./overlay.ts";
import { type Bases, type RestoreResult, StoreError } from "./port.ts";
import { sha256 } from "./read-content.ts";
import { removeTree } from "./remove-tree.ts";

export type Base = { folder: string; files: number; bytes: number };

/** Restores of the same base wait for the first. */
const making = new Map<string, Promise<Base>>();

export function stateOf(folder: string): string {
  return join(folder, "state");
}

/**
 * Names what a manifest says of the tree, and nothing else: not whose it is, where it lies in the store, or what came before.
 * Throws when the text is not laid out as a manifest (manifest-text.ts).
 */
export function treeOf(text: Uint8Array): string {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const start = bytes.indexOf('\n"entries":[\n');
  const end = bytes.indexOf('\n"omitted":[\n', start);
  if (start === -1 || end === -1) throw new StoreError("snapshot_invalid", "the manifest has no entries", false);
  return sha256(bytes.subarray(start, end));
}

/** The base that was taken for `snapshotId` before; it counts as used now. */
export function findBase(bases: Bases, snapshotId: string): Base | undefined {
  const has = (name: string) => existsSync(join(bases.folder, name, "state", `${snapshotId}.manifest`));
  const name = readdirSync(bases.folder).find((each) => !each.startsWith(".") && has(each));
  return name === undefined ? undefined : findTree(bases, name);
}

/** The base with this tree when it is there; it counts as used now. */
export function findTree({ folder }: Bases, tree: string): Base | undefined {
  const base = join(folder, tree);
  const note = join(base, "used");
  if (!existsSync(note)) return undefined;
  const now = new Date();
  utimesSync(note, now, now);
  return { folder: base, ...(JSON.parse(readFileSync(note, "utf8")) as Pick<Base, "files" | "bytes">) };
}

/** Makes the base with `restore`, which fills tree/ and state/ of the folder that it is given. Throws what it throws. */
export async function makeBase(
  bases: Bases,
  tree: string,
  restore: (place: { root: string; stateDir: string }) => Promise<RestoreResult>,
): Promise<Base> {
  const target = join(bases.folder, tree);
  const first = making.get(target);
  if (first !== undefined) return await first;
  const work = (async () => {
    const unfinished = join(bases.folder, `.making-${tree}`);
    mkdirSync(unfinished, { recursive: true, mode: 0o700 });
    const { files, bytes } = await restore({ root: join(unfinished, "tree"), stateDir: stateOf(unfinished) });
    writeFileSync(join(unfinished, "used"), JSON.stringify({ files, bytes }), { flush: true });
    removeTree(target);
    renameSync(unfinished, target);
    return { folder: target, files, bytes };
  })();
  making.set(target, work);
  try {
    return await work;
  } finally {
    making.delete(target);
  }
}

/** Removes what was not used longest, down to the bound; never what is in use. */
export function pruneBases({ folder, atMost, inUse }: Bases): string[] {
  const used = inUse();
  const idle = readdirSync(folder)
    .filter((name) => !name.startsWith(".") && existsSync(join(folder, name, "used")))
    .map((name) => ({ path: join(folder, name), usedAtMs: statSync(join(folder, name, "used")).mtimeMs }))
    .filter(({ path }) => !used.has(path))
    .sort((a, b) => b.usedAtMs - a.usedAtMs);
  const gone = idle.slice(atMost).map(({ path }) => path);
  for (const path of gone) {
    // Under another name first: half of a base must never be found.
    const leaving = join(folder, `.leaving-${basename(path)}`);
    renameSync(path, leaving);
    removeTree(leaving);
  }
  return gone;
}

/** Can this host keep bases in `folder`? The engine has to see our mounts, too: see [sharesMounts]. */
export function canKeepBases(folder: string): boolean {
  return isMountable(folder) && overlayWorks(folder);
}
