/** A small workspace with something of every kind, and what it becomes when nearly every kind of thing has happened to it. */
import {
  chmodSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { noise } from "../executor-host/workspace/fixture.ts";

const FILES = 100;
const EDITED = 30;
/** More than one chunk. */
const LARGE_BYTES = 2_500_000;
/** What most file systems allow. */
const LONGEST_NAME = "n".repeat(255);
const folderOf = (i: number) => `src/d${i % 8}`;
const fileOf = (i: number) => `${folderOf(i)}/f${i}.txt`;

export function makeVaried(root: string): void {
  for (let i = 0; i < 8; i++) mkdirSync(join(root, folderOf(i)), { recursive: true });
  for (let i = 0; i < FILES; i++) {
    const content = i % 10 === 0 ? "" : i % 10 === 1 ? "the same in some" : noise(50 + 40 * i, i);
    writeFileSync(join(root, fileOf(i)), content);
    chmodSync(join(root, fileOf(i)), [0o644, 0o755, 0o600, 0o444][i % 4]!);
  }
  writeFileSync(join(root, "large.bin"), noise(LARGE_BYTES, 7));
  writeFileSync(join(root, LONGEST_NAME), "long");
  writeFileSync(join(root, "übung \n odd \\ name"), "odd");
  mkdirSync(join(root, "deep/er/and/er"), { recursive: true });
  mkdirSync(join(root, "private"), { mode: 0o700 });
  mkdirSync(join(root, "becomes-file/x"), { recursive: true });
  writeFileSync(join(root, "becomes-folder"), "file");
  symlinkSync("src/d0", join(root, "link"));
  symlinkSync("../../etc/passwd", join(root, "out"));
  mkdirSync(join(root, "closed"));
  for (const name of ["a", "b"]) writeFileSync(join(root, "closed", name), name);
  symlinkSync("a", join(root, "closed/link"));
  chmodSync(join(root, "closed"), 0o555);
}

export function changeVaried(root: string): void {
  for (let i = 0; i < EDITED; i++) {
    rmSync(join(root, fileOf(3 * i)));
    if (i % 3 > 0) writeFileSync(join(root, fileOf(3 * i)), noise(70 + 30 * i, 1_000 + i));
  }
  const large = noise(LARGE_BYTES, 7);
  large.set(noise(1_000, 8), LARGE_BYTES / 2);
  writeFileSync(join(root, "large.bin"), large);
  chmodSync(join(root, fileOf(1)), 0o700);
  chmodSync(join(root, "private"), 0o755);
  rmSync(join(root, "becomes-file"), { recursive: true });
  writeFileSync(join(root, "becomes-file"), "file");
  rmSync(join(root, "becomes-folder"));
  mkdirSync(join(root, "becomes-folder"));
  rmSync(join(root, "link"));
  symlinkSync("src/d1", join(root, "link"));
  renameSync(join(root, "deep/er"), join(root, "deep/est"));
  mkdirSync(join(root, "empty"), { mode: 0o1777 });
  chmodSync(join(root, "closed"), 0o755);
  writeFileSync(join(root, "closed/a"), "another");
  writeFileSync(join(root, "closed/c"), "c");
  chmodSync(join(root, "closed"), 0o555);
}

/** Gives all of the tree to `uid`. */
export function giveTo(uid: number, path: string): void {
  lchownSync(path, uid, uid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) giveTo(uid, join(path, name));
}
