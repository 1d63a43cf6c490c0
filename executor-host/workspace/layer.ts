/**
 * A workspace that is a layer over a warm base, instead of a tree of its own:
 *
 *   <root>                       the overlay is mounted here; below it, an empty folder
 *   .<root>.layer-<name>/upper   what differs from the base; work/ is the kernel's
 *   <stateDir>/layer.json        { name, base }: this workspace is a layer. After a restart of the machine it says what to mount
 *
 * An unmounted layer looks like an empty workspace. So whoever syncs, restores or starts a worker asks [ensureMounted] first,
 * and fails when it fails.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { replacedOf, sweepStaging } from "./beside.ts";
import { codeOf } from "./errors.ts";
import { mountOverlay, unmount, upperAt } from "./overlay.ts";
import { StoreError } from "./port.ts";
import { removeTree } from "./remove-tree.ts";

export type Place = { root: string; stateDir: string };
/** `base`: the base's folder; its tree/ is the lower layer. */
export type Layer = { name: string; base: string };

export function layerDir(root: string, { name }: Layer): string {
  return join(dirname(root), `${layerPrefix(root)}${name}`);
}

export function upperOf(root: string, layer: Layer): string {
  return join(layerDir(root, layer), "upper");
}

export function lowerOf({ base }: Layer): string {
  return join(base, "tree");
}

const layerPrefix = (root: string) => `.${basename(root)}.layer-`;
const noteOf = (stateDir: string) => join(stateDir, "layer.json");

/** The layer that this workspace is; undefined when it is a tree of its own. */
export function readLayer(stateDir: string): Layer | undefined {
  try {
    return JSON.parse(readFileSync(noteOf(stateDir), "utf8")) as Layer;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

export function writeLayer(stateDir: string, layer: Layer): void {
  writeFileSync(`${noteOf(stateDir)}.new`, JSON.stringify(layer), { flush: true, mode: 0o600 });
  renameSync(`${noteOf(stateDir)}.new`, noteOf(stateDir));
}

/** Mounts the layer when it is not. Throws StoreError `workspace_unusable`: its files cannot be reached then, and are not lost. */
export function ensureMounted({ root, stateDir }: Place): void {
  const layer = readLayer(stateDir);
  if (layer === undefined) return;
  const upper = upperOf(root, layer);
  const mounted = upperAt(root);
  if (mounted === upper) return;
  try {
    if (mounted !== undefined) unmount(root);
    mkdirSync(root, { recursive: true, mode: 0o700 });
    if (readdirSync(root).length > 0) throw new Error(`${root} is not empty`);
    for (const needed of [upper, lowerOf(layer)]) if (!existsSync(needed)) throw new Error(`${needed} is gone`);
    const work = join(layerDir(root, layer), "work");
    mkdirSync(work, { recursive: true, mode: 0o700 });
    mountOverlay({ lower: lowerOf(layer), upper, work, at: root });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `the workspace's layer at ${upper} cannot be mounted: ${why}. What was written there is kept.`;
    throw new StoreError("workspace_unusable", message, true);
  }
}

/** The workspace is no layer any more: takes the mount off, leaves an empty `root`. Idempotent. */
export function dropLayer({ root, stateDir }: Place): void {
  unmount(root);
  rmSync(noteOf(stateDir), { force: true });
}

/** Removes the folders of layers that this workspace is not. */
export function sweepLayers({ root, stateDir }: Place): void {
  const current = readLayer(stateDir);
  const keep = current === undefined ? undefined : basename(layerDir(root, current));
  for (const name of readdirSync(dirname(root))) {
    if (name.startsWith(layerPrefix(root)) && name !== keep) removeTree(join(dirname(root), name));
  }
}

/** Moves a workspace with what the engine remembers of it. A layer comes along unmounted. Nothing there is fine. */
export function moveWorkspace(from: Place, to: Place): void {
  unmount(from.root);
  const layer = readLayer(from.stateDir);
  // The layer first: until its note has moved, too, the next try finds it by the name in the note.
  if (layer !== undefined) moveIfThere(layerDir(from.root, layer), layerDir(to.root, layer));
  moveIfThere(from.root, to.root);
  moveIfThere(from.stateDir, to.stateDir);
}

/** Removes a workspace from this disk, with what a broken-off restore left beside it. The caller knows that it is saved, or that nobody wants it. */
export function removeWorkspace(place: Place): void {
  dropLayer(place);
  if (existsSync(dirname(place.root))) sweepLayers(place);
  sweepStaging(place.root);
  removeTree(replacedOf(place.root));
  removeTree(place.root);
  removeTree(place.stateDir);
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
