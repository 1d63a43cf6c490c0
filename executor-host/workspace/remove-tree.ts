/** Removes a tree that somebody may still be changing: directory by directory through open handles, no link followed. */
import { fchmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { at, closeDirectory, type Directory, openChild, openRoot } from "./directory-handle.ts";
import { codeOf } from "./errors.ts";

/** Removes `path` and everything below it; nothing there is fine. Throws the system's error when something stays. */
export function removeTree(path: string): void {
  let parent: Directory;
  try {
    parent = openRoot(dirname(path));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return;
    throw error;
  }
  try {
    removeIn(parent, Buffer.from(basename(path)));
  } finally {
    closeDirectory(parent);
  }
}

/** Removes `name` in the open `parent`. Names are bytes: what is not UTF-8 has to go as well. */
export function removeIn(parent: Directory, name: Buffer): void {
  const path = Buffer.concat([Buffer.from(at(parent, "")), name]);
  try {
    if (!lstatSync(path).isDirectory()) return unlinkSync(path);
    const directory = openChild(parent, name);
    try {
      fchmodSync(directory.fd, 0o700);
      for (const child of readdirSync(directory.path, { encoding: "buffer" })) removeIn(directory, child);
    } finally {
      closeDirectory(directory);
    }
    rmdirSync(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
