/**
 * Trees of snapshots that this host has restored once, shown to any number of workspaces at the same time, so that a new
 * session on a known base creates no file:
 *
 *   <bases>/<snapshot>/tree/    exactly the snapshot; only ever read, as an overlay's lower layer
 *                     /state/   its manifest and index (index-file.ts), to be the new workspace's own
 *                     /used     touched when somebody takes it: what was not used longest goes first
 *   <bases>/.making-<snapshot>  being restored; a try that was broken off goes on there
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
import type { RestoreResult } from "./port.ts";
import { removeTree } from "./remove-tree.ts";

export type Bases = {
  folder: string;
  /** As many unused ones are kept. */
  atMost: number;
  /** The bases that workspaces of this host lie on, as folders. */
  inUse: () => ReadonlySet<string>;
};
export type Base = { folder: string; files: number; bytes: number };

/** Restores of the same base wait for the first. */
const making = new Map<string, Promise<Base>>();

export function stateOf(folder: string): string {
  return join(folder, "state");
}

/** The base of `snapshotId` when it is there; it counts as used now. */
export function findBase({ folder }: Bases, snapshotId: string): Base | undefined {
  const base = join(folder, snapshotId);
  const note = join(base, "used");
  if (!existsSync(note)) return undefined;
  const now = new Date();
  utimesSync(note, now, now);
  return { folder: base, ...(JSON.parse(readFileSync(note, "utf8")) as Pick<Base, "files" | "bytes">) };
}

/** Makes the base with `restore`, which fills tree/ and state/ of the folder that it is given. Throws what it throws. */
export async function makeBase(
  bases: Bases,
  snapshotId: string,
  restore: (place: { root: string; stateDir: string }) => Promise<RestoreResult>,
): Promise<Base> {
  const target = join(bases.folder, snapshotId);
  const first = making.get(target);
  if (first !== undefined) return await first;
  const work = (async () => {
    const unfinished = join(bases.folder, `.making-${snapshotId}`);
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
