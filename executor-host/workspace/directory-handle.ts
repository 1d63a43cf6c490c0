/**
 * Reaching files below a root that somebody else is changing, without ever being led out of it.
 *
 * Node has no `openat`. On Linux `/proc/self/fd/N/name` is one: the kernel goes to the open directory itself, whatever its
 * path has become, and O_NOFOLLOW refuses a link as the last name. So a directory is opened one name at a time, and a
 * link swapped in at any moment is an error (ELOOP, ENOTDIR), not a way out. Elsewhere the path is used with O_NOFOLLOW:
 * safe against links that are there, not against a process that swaps a parent meanwhile; run hosts on Linux.
 */
import { chmodSync, closeSync, constants, openSync } from "node:fs";

/** An open directory; `path` is what to put before a name of it. */
export type Directory = { fd: number; path: string };

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;
const O_PATH = 0o10000000;
const viaProc = process.platform === "linux";

/** Opens the root, which the daemon vouches for; it must not be a link itself. */
export function openRoot(root: string): Directory {
  return opened(root);
}

/** The path by which the system reaches `name` in `directory`. */
export function at(directory: Directory, name: string): string {
  return `${directory.path}/${name}`;
}

/** Opens a directory in a directory. Throws ELOOP or ENOTDIR when it is not one now. */
export function openChild(directory: Directory, name: string | Buffer): Directory {
  return opened(typeof name === "string" ? at(directory, name) : Buffer.concat([Buffer.from(at(directory, "")), name]));
}

/**
 * Gives us all rights to a directory of ours which its mode keeps us from opening. No link is followed: the directory is held
 * without being opened meanwhile (O_PATH, which Node does not name; open(2)). Throws as [openChild], and when it is not ours.
 */
export function unlockChild(directory: Directory, name: Buffer): void {
  const path = Buffer.concat([Buffer.from(at(directory, "")), name]);
  const fd = openSync(path, (viaProc ? O_PATH : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW);
  try {
    chmodSync(`/proc/self/fd/${fd}`, 0o700);
  } finally {
    closeSync(fd);
  }
}

/** Opens a file for reading; never waits for a FIFO's writer. The caller checks with fstat what it got. */
export function openFile(directory: Directory, name: string): number {
  return openSync(at(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
}

export function closeDirectory(directory: Directory): void {
  closeSync(directory.fd);
}

function opened(path: string | Buffer): Directory {
  const fd = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return { fd, path: viaProc ? `/proc/self/fd/${fd}` : path.toString() };
}

/** Opens the parents of paths one after the other, keeping those open that the next path shares. */
export class ParentCursor {
  readonly #stack: { name: string; directory: Directory }[];

  constructor(root: string) {
    this.#stack = [{ name: "", directory: openRoot(root) }];
  }

  /** The open parent of `path` and the last name. Throws as [openChild]. */
  parentOf(path: string): { directory: Directory; name: string } {
    const names = path.split("/");
    const name = names.pop() ?? path;
    let shared = 0;
    while (shared < names.length && this.#stack[shared + 1]?.name === names[shared]) shared++;
    this.#shrink(shared + 1);
    for (const next of names.slice(shared)) {
      const parent = this.#stack[this.#stack.length - 1]!.directory;
      this.#stack.push({ name: next, directory: openChild(parent, next) });
    }
    return { directory: this.#stack[this.#stack.length - 1]!.directory, name };
  }

  close(): void {
    this.#shrink(0);
  }

  #shrink(length: number): void {
    while (this.#stack.length > length) closeDirectory(this.#stack.pop()!.directory);
  }
}
