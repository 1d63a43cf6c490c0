/** The staging folder's tree: its directories, what is there already or is taken over, its links, and last their modes. */
import { chmodSync, chownSync, lchownSync, linkSync, lstatSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import type { Manifest, SnapshotEntry, SnapshotFile } from "#protocol/snapshot.ts";
import { at, ParentCursor } from "./directory-handle.ts";
import { codeOf, isAboutTheFile } from "./errors.ts";
import { type Finished, type Owner, settleAt } from "./file-writer.ts";
import { hashFile } from "./read-content.ts";
import { matches, type Signature, type Signatures } from "./signature.ts";

export class StagingTree {
  readonly #staging: string;
  readonly #owner: Owner | undefined;
  /** What the file system says of the files that were there or are taken over. */
  readonly finished: Finished = new Map();

  constructor(staging: string, owner: Owner | undefined) {
    this.#staging = staging;
    this.#owner = owner;
  }

  #path(path: string): string {
    return `${this.#staging}/${path}`;
  }

  /** Opens to us again the directories that a broken-off restore left, whose modes it may have set already: from the outermost in. */
  reopen(entries: readonly SnapshotEntry[]): void {
    chmodSync(this.#staging, 0o700);
    for (const { path, kind } of entries) {
      if (kind !== "directory") continue;
      const stats = lstatSync(this.#path(path), { throwIfNoEntry: false });
      if (stats?.isDirectory()) chmodSync(this.#path(path), 0o700);
    }
  }

  /** All directories, writable by us for now. */
  makeDirectories(entries: readonly SnapshotEntry[]): void {
    mkdirSync(this.#staging, { recursive: true, mode: 0o700 });
    const made = new Set<string>([""]);
    for (const { path, kind } of entries) {
      const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
      if (!made.has(parent)) mkdirSync(this.#path(parent), { recursive: true, mode: 0o700 });
      made.add(parent);
      if (kind !== "directory") continue;
      made.add(path);
      this.#makeDirectory(this.#path(path));
    }
  }

  #makeDirectory(path: string): void {
    try {
      mkdirSync(path, 0o700);
    } catch (error) {
      // Left by a restore that was broken off.
      if (codeOf(error) !== "EEXIST" || !lstatSync(path).isDirectory()) throw error;
    }
  }

  /** The files that a broken-off restore left whole are finished; what it left in part goes. Gives those that are left. */
  keepWhole(files: readonly SnapshotFile[]): SnapshotFile[] {
    return files.filter((file) => {
      const path = this.#path(file.path);
      const stats = lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) return true;
      try {
        if (stats.isFile() && stats.size === file.size && hashFile(path) === file.hash) {
          this.finished.set(file.path, settleAt(path, file, this.#owner));
          return false;
        }
      } catch (error) {
        // Its mode keeps us from reading or settling it: written anew.
        if (!isAboutTheFile(error)) throw error;
      }
      rmSync(path, { recursive: true });
      return true;
    });
  }

  /** Takes files over from the workspace that are there as the snapshot has them. Gives those that are left. */
  takeOver(
    root: string,
    files: readonly SnapshotFile[],
    last: { manifest: Manifest; signatures: Signatures },
  ): SnapshotFile[] {
    const before = new Map(last.manifest.entries.map((entry) => [entry.path, entry]));
    const parents = new ParentCursor(root);
    try {
      return files.filter((file) => {
        const signature = last.signatures.get(file.path);
        if (signature === undefined || JSON.stringify(before.get(file.path)) !== JSON.stringify(file)) return true;
        return !this.#takeOne(parents, file, signature);
      });
    } finally {
      parents.close();
    }
  }

  #takeOne(parents: ParentCursor, file: SnapshotFile, signature: Signature): boolean {
    try {
      const { directory, name } = parents.parentOf(file.path);
      const stats = lstatSync(at(directory, name));
      const owned = this.#owner === undefined || (stats.uid === this.#owner.uid && stats.gid === this.#owner.gid);
      if (!matches(signature, stats) || !owned) return false;
      linkSync(at(directory, name), this.#path(file.path));
      // Another file may have been put there between looking and linking.
      const taken = lstatSync(this.#path(file.path));
      if (taken.ino === stats.ino) {
        this.finished.set(file.path, taken);
        return true;
      }
      rmSync(this.#path(file.path));
      return false;
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      return false;
    }
  }

  makeLinks(entries: readonly SnapshotEntry[]): void {
    for (const entry of entries) {
      if (entry.kind !== "link") continue;
      const path = this.#path(entry.path);
      rmSync(path, { force: true });
      symlinkSync(entry.target, path);
      if (this.#owner !== undefined) lchownSync(path, this.#owner.uid, this.#owner.gid);
    }
  }

  /** Owners and modes of the directories, from the innermost out: the last may take our own right to write away. */
  settleDirectories(entries: readonly SnapshotEntry[], rootMode: number): void {
    for (const entry of entries.toReversed()) {
      if (entry.kind === "directory") this.#settleDirectory(this.#path(entry.path), entry.mode);
    }
    this.#settleDirectory(this.#staging, rootMode);
  }

  #settleDirectory(path: string, mode: number): void {
    if (this.#owner !== undefined) chownSync(path, this.#owner.uid, this.#owner.gid);
    chmodSync(path, mode);
  }
}
