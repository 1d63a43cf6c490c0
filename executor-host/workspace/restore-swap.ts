/**
 * The step that makes a restored tree the workspace. The tree is complete beside the root before anything here happens:
 *
 *   .<root>.restoring-<id>   the new tree           1  journal written: from here on only forward
 *   <root>                   the workspace          2  <root> → .<root>.replaced
 *   .<root>.replaced         the old tree           3  .<root>.restoring-<id> → <root>
 *                                                   4  current.json   5  journal gone   6  old tree removed
 *
 * Broken off before 1 the workspace is the old one, untouched. Broken off later, whoever comes next (sync, restore, or
 * the daemon's start) calls [finishInterruptedRestore], and the workspace is the new one. No step is undone, none is
 * repeated to any effect.
 */
import { existsSync, lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf } from "./errors.ts";
import { makeCurrent } from "./index-file.ts";
import { removeTree } from "./remove-tree.ts";

export type Place = { root: string; stateDir: string };
/** Called before each step, by name; a test throws there to end the process, as it were. */
export type Step = (name: string) => void;

export function stagingOf(root: string, snapshotId: string): string {
  return `${besides(root)}.restoring-${snapshotId.slice(0, 16)}`;
}

export function isStaging(root: string, name: string): boolean {
  return name.startsWith(`${basename(besides(root))}.restoring-`);
}

function besides(root: string): string {
  return join(dirname(root), `.${basename(root)}`);
}

/** Makes the complete staging tree of `snapshotId` the workspace. Its index is kept in `stateDir` already. */
export function swapIn(place: Place, snapshotId: string, step: Step): void {
  // One of an earlier restore would be in the way of step 2.
  removeTree(replacedOf(place.root));
  step("journal");
  const journal = journalOf(place);
  writeFileSync(`${journal}.new`, JSON.stringify({ snapshotId }), { flush: true });
  renameSync(`${journal}.new`, journal);
  finishInterruptedRestore(place, step);
}

/**
 * Carries a restore that had reached its journal to its end; does nothing when there is none. Throws the system's error;
 * the journal then stays, and so does the duty.
 */
export function finishInterruptedRestore(place: Place, step: Step = () => {}): void {
  const { root, stateDir } = place;
  const snapshotId = readJournal(place);
  if (snapshotId === undefined) {
    // Broken off at step 6.
    if (isThere(root) && isThere(replacedOf(root))) removeTree(replacedOf(root));
    return;
  }
  const staging = stagingOf(root, snapshotId);
  if (existsSync(staging)) {
    step("move-old");
    if (isThere(root)) renameSync(root, replacedOf(root));
    step("move-new");
    renameSync(staging, root);
  }
  step("current");
  makeCurrent(stateDir, snapshotId);
  step("journal-gone");
  rmSync(journalOf(place), { force: true });
  step("remove-old");
  removeTree(replacedOf(root));
}

function replacedOf(root: string): string {
  return `${besides(root)}.replaced`;
}

function journalOf({ stateDir }: Place): string {
  return join(stateDir, "restore.json");
}

function readJournal(place: Place): string | undefined {
  try {
    return (JSON.parse(readFileSync(journalOf(place), "utf8")) as { snapshotId: string }).snapshotId;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
