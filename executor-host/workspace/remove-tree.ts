/** Removes a tree that somebody may still be changing: directory by directory through open handles, no link followed. */
import { fchmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { basename, dirname } from "node:path";
import { at, closeDirectory, type Directory, openChild, openRoot, unlockChild } from "./directory-handle.ts";
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
    const directory = openOurs(parent, name);
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

/** Its mode may keep even its owner out. */
function openOurs(parent: Directory, name: Buffer): Directory {
  try {
    return openChild(parent, name);
  } catch (error) {
    if (codeOf(error) !== "EACCES") throw error;
    unlockChild(parent, name);
    return openChild(parent, name);
  }
}
