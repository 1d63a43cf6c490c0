/**
 * A tree like a project's node_modules, of about 19,000 files: packages of this checkout's own node_modules, in an order
 * that a hash of their names decides, so that the same lockfile gives the same tree. Very large binaries stay out.
 */
import { createHash } from "node:crypto";
import { appendFileSync, copyFileSync, lstatSync, mkdirSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FILES = 19_000;
const LARGEST_BYTES = 16 * 1024 * 1024;
const SOURCE = fileURLToPath(new URL("../../node_modules", import.meta.url));

export type Tree = { root: string; files: number; bytes: number; links: number };

/** Fills `root`, which must not exist. */
export function makeTree(root: string): Tree {
  const tree: Tree = { root, files: 0, bytes: 0, links: 0 };
  const rank = (name: string) => createHash("sha256").update(name).digest("hex");
  const packages = readdirSync(SOURCE).filter((name) => !name.startsWith("."));
  packages.sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  for (const name of packages) {
    if (tree.files >= FILES) break;
    copy(join(SOURCE, name), join(root, "node_modules", name), tree);
  }
  return tree;
}

function copy(from: string, to: string, tree: Tree): void {
  const stats = lstatSync(from);
  if (stats.isDirectory()) {
    mkdirSync(to, { recursive: true });
    for (const name of readdirSync(from)) copy(join(from, name), join(to, name), tree);
  } else if (stats.isSymbolicLink()) {
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(readlinkSync(from), to);
    tree.links++;
  } else if (stats.isFile() && stats.size <= LARGEST_BYTES && tree.files < FILES) {
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(from, to);
    tree.files++;
    tree.bytes += stats.size;
  }
}

/** Adds a line to ten source files, as an agent does. Gives the bytes of those files: what has to travel at least, unpacked. */
export function editTen(root: string, round: number): number {
  const sources: string[] = [];
  const find = (path: string) => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      if (entry.isDirectory()) find(join(path, entry.name));
      else if (entry.isFile() && entry.name.endsWith(".js")) sources.push(join(root, path, entry.name));
    }
  };
  find("");
  const ordinary = sources.sort().filter((path) => {
    const { size } = lstatSync(path);
    return size > 2_000 && size < 40_000;
  });
  let bytes = 0;
  for (let i = 0; i < 10; i++) {
    const path = ordinary[Math.floor(((i + 0.5) * ordinary.length) / 10)]!;
    appendFileSync(path, `\n// edit ${round}.${i}: ${createHash("sha256").update(`${round} ${i}`).digest("hex")}\n`);
    bytes += lstatSync(path).size;
  }
  return bytes;
}

/** The floor of finding out that nothing has changed: every folder listed, every name looked at. */
export function bareWalk(root: string): number {
  let seen = 0;
  const walk = (folder: string) => {
    for (const name of readdirSync(folder)) {
      const path = `${folder}/${name}`;
      seen++;
      if (lstatSync(path).isDirectory()) walk(path);
    }
  };
  walk(root);
  return seen;
}
