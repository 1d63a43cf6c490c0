/** Paths that an agent names stay below the working directory, whatever they look like and wherever links lead. */
import { mkdir, realpath } from "node:fs/promises";
import path from "node:path";

export class OutsideWorkspace extends Error {
  constructor(given: string) {
    super(`${given} is outside the working directory`);
    this.name = "OutsideWorkspace";
  }
}

/**
 * The absolute path of an existing file.
 * @throws OutsideWorkspace, or the file system's error when it does not exist
 */
export async function existingPath(cwd: string, given: string): Promise<string> {
  const root = await realpath(cwd);
  return inside(root, await realpath(inside(root, path.resolve(root, given), given)), given);
}

/**
 * The absolute path for a file to be written; its folders are made.
 * @throws OutsideWorkspace when it, or what a link on the way points to, is outside
 */
export async function writablePath(cwd: string, given: string): Promise<string> {
  const root = await realpath(cwd);
  const target = inside(root, path.resolve(root, given), given);
  if (target === root) throw new OutsideWorkspace(given);
  // A link on the way is followed before anything is made behind it.
  await walk(root, path.dirname(target), given);
  await mkdir(path.dirname(target), { recursive: true });
  const final = await realpathIfThere(target);
  return inside(root, final ?? target, given);
}

async function walk(root: string, folder: string, given: string): Promise<void> {
  let at = root;
  for (const name of path.relative(root, folder).split(path.sep).filter(Boolean)) {
    at = path.join(at, name);
    const real = await realpathIfThere(at);
    if (real === undefined) return;
    inside(root, real, given);
  }
}

async function realpathIfThere(file: string): Promise<string | undefined> {
  try {
    return await realpath(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function inside(root: string, file: string, given: string): string {
  const relative = path.relative(root, file);
  if (relative === ".." || relative.startsWith(`..${path.sep}`) || path.isAbsolute(relative))
    throw new OutsideWorkspace(given);
  return file;
}
