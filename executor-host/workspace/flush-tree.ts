/**
 * Brings a tree that was just written onto its disk: a file system may otherwise keep a rename and lose the content of what
 * was renamed when the power goes.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, fsyncSync, lstatSync, openSync, readdirSync, statfsSync } from "node:fs";

/** What statfs(2) says of a file system that has no disk: nothing of it outlives the power. */
const TMPFS_MAGIC = 0x01021994;

/** Throws the system's error, ENOSPC and EIO among them. */
export function flushTree(root: string): void {
  if (statfsSync(root).type === TMPFS_MAGIC) return;
  try {
    // syncfs, which Node does not have: one call instead of one for each of thousands of files.
    execFileSync("sync", ["-f", root], { stdio: "ignore" });
  } catch {
    // No such program, or it failed: file by file, whose errors say what is wrong.
    flushEach(root);
  }
}

function flushEach(path: string): void {
  const stats = lstatSync(path);
  if (stats.isDirectory()) for (const name of readdirSync(path)) flushEach(`${path}/${name}`);
  else if (!stats.isFile()) return;
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
