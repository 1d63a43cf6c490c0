/**
 * Carries a runtime manifest out on this host's disk. The session's files (L3) are there already; what
 * the other layers bring is laid under them, as the plan says:
 *
 *   disk ─► planRestore (pure, the edge's own) ─► L0 L1 seeds ─► L2 agent data ─► L4 replace, clean up ─► require, on the disk
 *             └ refused: nothing was written
 *
 * A worker may be changing the tree meanwhile. So every name is reached through its open parent, no link is followed, and
 * a link that comes up on the way is an error, not a way out.
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { posix } from "node:path";
import { planRestore } from "#protocol/restore-plan.ts";
import { type RestoreStep, type RuntimeManifest, WORKSPACE_ROOT } from "#protocol/runtime-manifest.ts";
import { AGENT_FOLDER } from "#protocol/snapshot-limits.ts";
import { followLinks, isWithin } from "#protocol/workspace-path.ts";
import { at, closeDirectory, type Directory, openChild, openRoot } from "./directory-handle.ts";
import { missingOnDisk, namedPaths, viewDisk } from "./disk-view.ts";
import { codeOf } from "./errors.ts";
import { removeIn } from "./remove-tree.ts";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const FOLDER_MODE = 0o755;

export type LayersInput = {
  root: string;
  manifest: RuntimeManifest;
  /** Owner of what is written; absent: whoever runs the daemon. */
  owner?: { uid: number; gid: number };
  /** Called when a phase has ended. */
  phase?: (name: "link-agent-data" | "validate", detail: Record<string, unknown>) => void;
};
export type LayersRefusal = { ok: false; reason: string; message: string; missing?: string[] };

/** Answers what was done, or why the run may not start. Throws the system's error when the disk does. */
export function layRuntime(input: LayersInput): { ok: true; written: number; removed: number } | LayersRefusal {
  const { root, manifest, phase = () => {} } = input;
  const view = viewDisk(root, namedPaths(manifest));
  const planned = planRestore({ manifest, ...view });
  if (!planned.ok) return planned;
  const steps = planned.plan.layers.flatMap((layer) => layer.steps);
  const unavailable = steps.find((step) => step.action === "mount" && step.source !== "agent-data");
  if (unavailable?.action === "mount") {
    const { path, source } = unavailable;
    const message = `${path} is to show the ${source}'s files, which this host does not have. Seed them, or take the mount point out of the manifest.`;
    return { ok: false, reason: "mount_unavailable", message };
  }
  const hands = new Hands(input, new Map(view.existingLinks.map(({ path, target }) => [path, target])));
  try {
    for (const step of steps) hands.carryOut(step);
  } finally {
    hands.close();
  }
  phase("link-agent-data", { linked: hands.linked });
  const missing = missingOnDisk(root, manifest.requiredPaths);
  phase("validate", { required: manifest.requiredPaths.length, missing: missing.length });
  if (missing.length === 0) return { ok: true, written: hands.written, removed: hands.removed };
  const message = `The run needs ${missing.join(", ")}, which the workspace does not have.`;
  return { ok: false, reason: "required_paths_missing", message, missing };
}

class Hands {
  written = 0;
  removed = 0;
  linked = 0;
  readonly #seeds: ReadonlyMap<string, string>;
  readonly #owner: LayersInput["owner"];
  readonly #links: ReadonlyMap<string, string>;
  readonly #root: Directory;

  constructor({ root, manifest, owner }: LayersInput, links: ReadonlyMap<string, string>) {
    this.#seeds = new Map(manifest.seedFiles.map(({ path, content }) => [path, content]));
    this.#owner = owner;
    this.#links = links;
    this.#root = openRoot(root);
  }

  close(): void {
    closeDirectory(this.#root);
  }

  carryOut(step: RestoreStep): void {
    switch (step.action) {
      case "seed":
      case "replace":
        return this.#write(this.#inside(step.path), this.#seeds.get(step.path) ?? "", step.mode);
      case "mount":
        return this.#link(this.#inside(step.path));
      case "remove":
        return this.#remove(step);
      case "keep":
      case "restore_session":
      case "require":
        return;
      default:
        return step satisfies never;
    }
  }

  /**
   * Relative to the root, with the links on the way followed; a link at the end is the thing that is meant itself. The plan
   * has refused those that lead outside.
   */
  #inside(path: string): string {
    const folder = followLinks(posix.dirname(path), this.#links) ?? posix.dirname(path);
    return `${folder}/${posix.basename(path)}`.slice(WORKSPACE_ROOT.length + 1);
  }

  /** Complete beside its place before it takes it. */
  #write(path: string, content: string, mode: number): void {
    this.#inParent(path, (parent, name) => {
      const unfinished = `.gantry-seed-${randomBytes(6).toString("hex")}`;
      const fd = openSync(at(parent, unfinished), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
      try {
        writeFileSync(fd, content);
        if (this.#owner) fchownSync(fd, this.#owner.uid, this.#owner.gid);
        fchmodSync(fd, mode);
        renameSync(at(parent, unfinished), at(parent, name));
      } catch (error) {
        unlinkSync(at(parent, unfinished));
        throw error;
      } finally {
        closeSync(fd);
      }
      this.written++;
    });
  }

  /** The agents' state is part of the workspace (it is saved with it, first): the place it is wanted at becomes a link to it. */
  #link(path: string): void {
    const target = posix.relative(posix.dirname(path), `${AGENT_FOLDER}/agent`);
    this.#inParent(`${AGENT_FOLDER}/agent/x`, () => {});
    this.#inParent(path, (parent, name) => {
      const there = lstatSync(at(parent, name), { throwIfNoEntry: false });
      // What the session has there is the session's.
      if (there !== undefined) return;
      symlinkSync(target, at(parent, name));
      if (this.#owner) lchownSync(at(parent, name), this.#owner.uid, this.#owner.gid);
      this.linked++;
    });
  }

  #remove({ path, contents, except }: Extract<RestoreStep, { action: "remove" }>): void {
    const inside = this.#inside(path);
    const kept = except.map((each) => this.#inside(each));
    try {
      this.#inParent(
        inside,
        (parent, name) => this.#clear(parent, name, inside, contents ? [`${inside}/`, ...kept] : kept),
        "only",
      );
    } catch (error) {
      if (codeOf(error) !== "ENOENT" && codeOf(error) !== "ENOTDIR") throw error;
    }
  }

  /** Removes `name` but for what lies in `kept`, and the folders on the way to that. */
  #clear(parent: Directory, name: string, path: string, kept: readonly string[]): void {
    if (kept.some((each) => isWithin(path, each))) return;
    const stats = lstatSync(at(parent, name), { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (!stats.isDirectory() || !kept.some((each) => each.startsWith(`${path}/`))) {
      removeIn(parent, Buffer.from(name));
      this.removed++;
      return;
    }
    const directory = openChild(parent, name);
    try {
      for (const child of readdirSync(directory.path)) this.#clear(directory, child, `${path}/${child}`, kept);
    } finally {
      closeDirectory(directory);
    }
  }

  /** Opens the parents of `path` one by one and makes those that lack. Throws ELOOP or ENOTDIR when one is no folder. */
  #inParent(path: string, work: (parent: Directory, name: string) => void, parents: "make" | "only" = "make"): void {
    const names = path.split("/");
    const name = names.pop() ?? path;
    const opened: Directory[] = [];
    try {
      let parent = this.#root;
      for (const next of names) {
        parent = this.#open(parent, next, parents);
        opened.push(parent);
      }
      work(parent, name);
    } finally {
      for (const each of opened) closeDirectory(each);
    }
  }

  #open(parent: Directory, name: string, parents: "make" | "only"): Directory {
    try {
      return openChild(parent, name);
    } catch (error) {
      if (codeOf(error) !== "ENOENT" || parents === "only") throw error;
    }
    mkdirSync(at(parent, name), { mode: FOLDER_MODE });
    const made = openChild(parent, name);
    fchmodSync(made.fd, FOLDER_MODE);
    if (this.#owner) fchownSync(made.fd, this.#owner.uid, this.#owner.gid);
    return made;
  }
}
