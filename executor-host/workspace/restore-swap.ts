/**
 * The step that makes a restored tree the workspace. The tree is complete beside the root before anything here happens:
 *
 *   .<root>.restoring-<id>   the new tree           1  journal written: from here on only forward
 *   <root>                   the workspace          2  <root> → .<root>.replaced
 *   .<root>.replaced         the old tree           3  .<root>.restoring-<id> → <root>
 *                                                   4  current.json   5  journal gone   6  old tree removed
 *
 * A layer over a warm base (layer.ts) is swapped in by the same steps: step 2 takes an old layer's mount off, step 3 writes
 * the note that says what to mount, and mounts it.
 *
 * Broken off before 1 the workspace is the old one, untouched. Broken off later, whoever comes next (sync, restore, or
 * the daemon's start) calls [finishInterruptedRestore], and the workspace is the new one. No step is undone, none is
 * repeated to any effect.
 */
import { existsSync, lstatSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { replacedOf, stagingOf } from "./beside.ts";
import { codeOf } from "./errors.ts";
import { makeCurrent } from "./index-file.ts";
import { dropLayer, ensureMounted, type Layer, type Place, readLayer, sweepLayers, writeLayer } from "./layer.ts";
import { removeTree } from "./remove-tree.ts";

/** Called before each step, by name; a test throws there to end the process, as it were. */
export type Step = (name: string) => void;

/** A step that ends everything before the one that is named: with an error or, as `SIGKILL <name>`, with the process. */
export function stepsThatFail(before: string | undefined): Step {
  return (name) => {
    if (before === `SIGKILL ${name}`) process.kill(process.pid, "SIGKILL");
    if (name === before) throw new Error(`killed before ${name}`);
  };
}

/**
 * Makes the complete staging tree of `snapshotId` the workspace, or `layer`, whose folder is made. Its index is kept in
 * `stateDir` already.
 */
export function swapIn(place: Place, snapshotId: string, step: Step, layer?: Layer): void {
  // One of an earlier restore would be in the way of step 2.
  removeTree(replacedOf(place.root));
  step("journal");
  const journal = journalOf(place);
  writeFileSync(`${journal}.new`, JSON.stringify({ snapshotId, layer } satisfies Journal), { flush: true });
  renameSync(`${journal}.new`, journal);
  finishInterruptedRestore(place, step);
}

/**
 * Carries a restore that had reached its journal to its end; does nothing when there is none. Throws the system's error;
 * the journal then stays, and so does the duty.
 */
export function finishInterruptedRestore(place: Place, step: Step = () => {}): void {
  const { root, stateDir } = place;
  const journal = readJournal(place);
  if (journal === undefined) {
    // Broken off at step 6.
    if (isThere(root) && isThere(replacedOf(root))) removeTree(replacedOf(root));
    ensureMounted(place);
    return;
  }
  const { snapshotId, layer } = journal;
  const staging = stagingOf(root, snapshotId);
  const isNew = layer === undefined ? !existsSync(staging) : readLayer(stateDir)?.name === layer.name;
  if (!isNew) {
    step("move-old");
    // What an old layer leaves is an empty folder.
    if (readLayer(stateDir) !== undefined) dropLayer(place);
    if (isThere(root)) renameSync(root, replacedOf(root));
    step("move-new");
    if (layer === undefined) renameSync(staging, root);
    else writeLayer(stateDir, layer);
  }
  ensureMounted(place);
  step("current");
  makeCurrent(stateDir, snapshotId);
  step("journal-gone");
  rmSync(journalOf(place), { force: true });
  step("remove-old");
  removeTree(replacedOf(root));
  sweepLayers(place);
}

function journalOf({ stateDir }: Place): string {
  return join(stateDir, "restore.json");
}

type Journal = { snapshotId: string; layer?: Layer | undefined };

function readJournal(place: Place): Journal | undefined {
  try {
    return JSON.parse(readFileSync(journalOf(place), "utf8")) as Journal;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
