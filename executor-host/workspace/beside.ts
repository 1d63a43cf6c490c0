/** What a restore has beside a workspace while it is under way: the new tree before, the old tree after they change places. */
import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { removeTree } from "./remove-tree.ts";

/** The new tree, until it is the workspace. */
export function stagingOf(root: string, snapshotId: string): string {
  return `${besides(root)}.restoring-${snapshotId.slice(0, 16)}`;
}

/** The tree that was the workspace. */
export function replacedOf(root: string): string {
  return `${besides(root)}.replaced`;
}

/** Removes the staging folders of broken-off restores, all but `kept`. Throws the system's error. */
export function sweepStaging(root: string, kept?: string): void {
  const parent = dirname(root);
  if (!existsSync(parent)) return;
  const prefix = `${basename(besides(root))}.restoring-`;
  for (const name of readdirSync(parent)) {
    if (name.startsWith(prefix) && join(parent, name) !== kept) removeTree(join(parent, name));
  }
}

function besides(root: string): string {
  return join(dirname(root), `.${basename(root)}`);
}
