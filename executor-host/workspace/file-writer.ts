/**
 * Writes the files of a snapshot into the staging folder. Nobody else reaches that folder (mode 0700, beside the workspace,
 * not mounted anywhere), and links are made last, so no path in it can lead elsewhere while files are written. Several
 * threads write at the same time, each with a writer of its own, and share [Lacking].
 */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, futimesSync, openSync, writeSync } from "node:fs";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";
import { hashFile } from "./read-content.ts";
import type { PlannedChunk } from "./restore-plan.ts";
import type { Seen } from "./signature.ts";

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const O_NEW = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
const O_PART = O_WRONLY | O_CREAT | O_NOFOLLOW;

export type Owner = { uid: number; gid: number };
/** What the file system says of files that are finished, by path. */
export type Finished = Map<string, Seen>;
/** How many chunks the files that are cut into several still lack, in the order of the files. */
export type Lacking = Int32Array<SharedArrayBuffer>;

export class FileWriter {
  readonly #staging: string;
  readonly #owner: Owner | undefined;
  readonly #lacking: Lacking;
  readonly #cut: ReadonlyMap<SnapshotFile, number>;
  /** Those that this writer finished. */
  readonly finished: Finished = new Map();

  /** `files` are all that are to be written, by whichever thread. */
  constructor(staging: string, owner: Owner | undefined, files: readonly SnapshotFile[], lacking: Lacking) {
    this.#staging = staging;
    this.#owner = owner;
    this.#lacking = lacking;
    this.#cut = new Map(cutFiles(files).map((file, i) => [file, i]));
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
      const fd = openSync(`${this.#staging}/${file.path}`, O_PART, 0o600);
      try {
        for (let done = 0; done < length; ) done += writeSync(fd, bytes, done, length - done, offset + done);
      } finally {
        closeSync(fd);
      }
      this.#countDown(file);
    }
  }

  /** The file is not there yet, and most have the mode that they are made with: a call saved on each of thousands. */
  #writeWhole(file: SnapshotFile, bytes: Uint8Array): void {
    const fd = openSync(`${this.#staging}/${file.path}`, O_NEW, file.mode);
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done);
      this.finished.set(file.path, settle(fd, file, this.#owner));
    } finally {
      closeSync(fd);
    }
  }

  /** Whoever writes the last chunk of a file, in whichever thread, finishes it. */
  #countDown(file: SnapshotFile): void {
    if (Atomics.sub(this.#lacking, this.#cut.get(file) ?? 0, 1) > 1) return;
    const path = `${this.#staging}/${file.path}`;
    if (hashFile(path) !== file.hash) throw new Error(`${file.path} is not the file that the snapshot names`);
    this.finished.set(file.path, settleAt(path, file, this.#owner));
  }
}

/** Gives the file at `path`, whose content is there, its owner, time and mode. */
export function settleAt(path: string, file: SnapshotFile, owner: Owner | undefined): Seen {
  const fd = openSync(path, O_WRONLY | O_NOFOLLOW);
  try {
    return settle(fd, file, owner);
  } finally {
    closeSync(fd);
  }
}

/** The owner first: chown clears bits of the mode. */
function settle(fd: number, { mtimeMs, mode }: SnapshotFile, owner: Owner | undefined): Seen {
  if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
  futimesSync(fd, mtimeMs / 1_000, mtimeMs / 1_000);
  const stats = fstatSync(fd);
  if ((stats.mode & 0o7777) === mode) return stats;
  fchmodSync(fd, mode);
  return fstatSync(fd);
}

/** What [FileWriter]s of `files` share. */
export function lackingOf(files: readonly SnapshotFile[]): Lacking {
  const cut = cutFiles(files);
  const lacking = new Int32Array(new SharedArrayBuffer(cut.length * Int32Array.BYTES_PER_ELEMENT));
  for (const [i, { chunks }] of cut.entries()) lacking[i] = chunks?.length ?? 0;
  return lacking;
}

function cutFiles(files: readonly SnapshotFile[]): SnapshotFile[] {
  return files.filter(({ chunks }) => chunks !== undefined);
}

/** The places of `files` in the manifest's list of entries, in which they are in this order. */
export function numbersOf({ entries }: Manifest, files: readonly SnapshotFile[]): Int32Array<SharedArrayBuffer> {
  const numbers = new Int32Array(new SharedArrayBuffer(files.length * Int32Array.BYTES_PER_ELEMENT));
  let found = 0;
  for (const [number, entry] of entries.entries()) if (entry === files[found]) numbers[found++] = number;
  return numbers;
}

/** The files that `numbers` mean, which are places in the manifest's list of entries. */
export function filesOf({ entries }: Manifest, numbers: Int32Array): SnapshotFile[] {
  return Array.from(numbers, (number) => entries[number] as SnapshotFile);
}
