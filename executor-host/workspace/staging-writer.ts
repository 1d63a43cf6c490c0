/**
 * Writes a snapshot's tree into the staging folder. Nobody else reaches that folder (mode 0700, beside the workspace, not
 * mounted anywhere), and links are made last, so no path in it can lead elsewhere while files are written.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from "node:fs";
import type { Manifest, SnapshotEntry, SnapshotFile } from "#protocol/snapshot.ts";
import { at, ParentCursor } from "./directory-handle.ts";
import { codeOf, isAboutTheFile } from "./errors.ts";
import { hashFile } from "./read-content.ts";
import type { PlannedChunk } from "./restore-plan.ts";
import { matches, type Signature, type Signatures, signatureOf } from "./signature.ts";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
export type Owner = { uid: number; gid: number };

export class StagingWriter {
  readonly #staging: string;
  readonly #owner: Owner | undefined;
  /** Bytes that files cut into chunks still lack. */
  readonly #lacking = new Map<string, number>();
  /** What the file system says of the files that are finished. */
  readonly #finished = new Map<string, Stats>();

  constructor(staging: string, owner: Owner | undefined) {
    this.#staging = staging;
    this.#owner = owner;
  }

  #path(path: string): string {
    return `${this.#staging}/${path}`;
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
          this.#finish(file);
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
        this.#finished.set(file.path, taken);
        return true;
      }
      rmSync(this.#path(file.path));
      return false;
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      return false;
    }
  }

  writeEmpty(file: SnapshotFile): void {
    this.#writeWhole(file, new Uint8Array(0));
  }

  /** Writes a chunk, whose hash was checked, to all its places. Throws when that completes a file with another hash. */
  writeChunk({ targets, length }: PlannedChunk, bytes: Uint8Array): void {
    for (const { file, offset } of targets) {
      if (file.chunks === undefined) {
        this.#writeWhole(file, bytes);
        continue;
      }
      const fd = openSync(this.#path(file.path), O_WRONLY | O_CREAT | O_NOFOLLOW, 0o600);
      try {
        for (let done = 0; done < length; ) done += writeSync(fd, bytes, done, length - done, offset + done);
      } finally {
        closeSync(fd);
      }
      this.#countDown(file, length);
    }
  }

  /** The file is not there yet, and most have the mode that they are made with: a call saved on each of thousands. */
  #writeWhole(file: SnapshotFile, bytes: Uint8Array): void {
    const fd = openSync(this.#path(file.path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, file.mode);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
      this.#settle(fd, file);
    } finally {
      closeSync(fd);
    }
  }

  #countDown(file: SnapshotFile, length: number): void {
    const lacking = (this.#lacking.get(file.path) ?? file.size) - length;
    this.#lacking.set(file.path, lacking);
    if (lacking > 0) return;
    if (hashFile(this.#path(file.path)) !== file.hash)
      throw new Error(`${file.path} is not the file that the snapshot names`);
    this.#finish(file);
  }

  #finish(file: SnapshotFile): void {
    const fd = openSync(this.#path(file.path), O_WRONLY | O_NOFOLLOW);
    try {
      this.#settle(fd, file);
    } finally {
      closeSync(fd);
    }
  }

  /** The owner first: chown clears bits of the mode. */
  #settle(fd: number, file: SnapshotFile): void {
    if (this.#owner !== undefined) fchownSync(fd, this.#owner.uid, this.#owner.gid);
    futimesSync(fd, file.mtimeMs / 1_000, file.mtimeMs / 1_000);
    let stats = fstatSync(fd);
    if ((stats.mode & 0o7777) !== file.mode) {
      fchmodSync(fd, file.mode);
      stats = fstatSync(fd);
    }
    this.#finished.set(file.path, stats);
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

  /** What the next sync compares with: of each file that was written or taken over. */
  signatures(): Signatures {
    const now = Date.now();
    return new Map(Array.from(this.#finished, ([path, stats]) => [path, signatureOf(stats, now)]));
  }
}
