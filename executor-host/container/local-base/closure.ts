/**
 * The files of this machine under the names by which they are found, as a tree that is complete in itself:
 *
 *   /bin/awk   ►   /bin ► usr/bin · /usr/bin/awk ► /etc/alternatives/awk · /etc/alternatives/awk ► /usr/bin/mawk · /usr/bin/mawk
 *
 * Every symbolic link on the way is kept as a link, every file stands once, under its real path. So nothing ever lies
 * below a link, whichever way this system has merged its folders.
 */
import type { Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { TarEntry } from "./tar.ts";

/** As the kernel counts (path_resolution(7)). */
const maxLinks = 40;

/** `stamp` changes when the thing does; `inode` tells the names of one file. */
type Found = { entry: TarEntry; stamp: string; inode?: string };

export class Closure {
  readonly #found = new Map<string, Found>();

  /** Takes in a file or folder and the links that lead to it. Gives its real path; undefined when it is not there. */
  async add(path: string): Promise<string | undefined> {
    let done = "/";
    let rest = parts(path);
    for (let links = 0; rest.length > 0; ) {
      const [name = "", ...others] = rest;
      const here = join(done, name);
      const stats = await lstat(here).catch(missing);
      if (!stats) return undefined;
      if (stats.isSymbolicLink()) {
        if (++links > maxLinks) return undefined;
        const target = await readlink(here);
        this.#found.set(here, { entry: { path: here, type: "symlink", target }, stamp: target });
        const from = resolve(done, target);
        done = "/";
        rest = [...parts(from), ...others];
        continue;
      }
      if (!this.#addReal(here, stats)) return undefined;
      done = here;
      rest = others;
    }
    return done;
  }

  /** Takes in a folder with everything that `wanted` lets pass, and what the links in it lead to. Gives the real paths. */
  async addTree(dir: string, wanted: (name: string) => boolean = () => true): Promise<string[]> {
    const real = await this.add(dir);
    if (real === undefined) return [];
    const added: string[] = [];
    for (const entry of await readdir(real, { withFileTypes: true })) {
      if (!wanted(entry.name)) continue;
      const path = join(real, entry.name);
      if (entry.isDirectory()) added.push(...(await this.addTree(path, wanted)));
      else {
        const file = await this.add(path);
        if (file !== undefined) added.push(file);
      }
    }
    return added;
  }

  /** What does not come from this machine. A folder that is already in stays as it is. */
  make(entry: TarEntry): void {
    if (entry.type === "directory" && this.#found.has(entry.path)) return;
    const parent = dirname(entry.path);
    if (parent !== "/") this.make({ path: parent, type: "directory", mode: 0o755 });
    this.#found.set(entry.path, { entry, stamp: JSON.stringify(entry) });
  }

  /** Parents first, the content of each file once, however many names it has (git's hundred commands may be one file). */
  entries(): TarEntry[] {
    const firstNames = new Map<string, string>();
    return this.#sorted().map(({ entry, inode }) => {
      if (inode === undefined) return entry;
      const first = firstNames.get(inode);
      if (first !== undefined) return { path: entry.path, type: "link", target: first };
      firstNames.set(inode, entry.path);
      return entry;
    });
  }

  /** What the tree was made from, as far as a change of it can be seen without reading it. */
  fingerprint(): string {
    return this.#sorted()
      .map(({ entry, stamp }) => `${entry.type} ${entry.path} ${stamp}\n`)
      .join("");
  }

  #addReal(path: string, stats: Stats): boolean {
    if (this.#found.has(path)) return true;
    if (stats.isDirectory()) this.#found.set(path, { entry: { path, type: "directory", mode: 0o755 }, stamp: "" });
    else if (stats.isFile()) {
      // Nobody in a container needs to become somebody else: set-user-id is dropped, and all may read.
      const mode = stats.mode & 0o111 ? 0o755 : 0o644;
      const entry: TarEntry = { path, type: "file", mode, source: path };
      const inode = `${stats.dev}:${stats.ino}`;
      this.#found.set(path, { entry, stamp: `${stats.size} ${stats.mtimeMs} ${mode}`, inode });
    } else return false;
    return true;
  }

  #sorted(): Found[] {
    return [...this.#found.values()].sort((a, b) => (a.entry.path < b.entry.path ? -1 : 1));
  }
}

function parts(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function missing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return;
  throw error;
}
