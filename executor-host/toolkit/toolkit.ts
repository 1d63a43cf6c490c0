/**
 * The toolkit: the folder that every worker sees read-only at /opt/gantry.
 *
 *   node           the Node binary that runs the runner
 *   runner.mjs     the runner, bundled
 *   stamp.json     what the two were made from
 *   claude-code/   a CLI's own package folder, when it is installed (clis.ts); so for every other
 *
 * It is readable by everyone, because the worker's user (10001) owns nothing in it.
 */
import { createHash } from "node:crypto";
import { chmod, copyFile, glob, link, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { bundleRunner } from "./bundle.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const STAMP = "stamp.json";

export type PreparedToolkit = { dir: string; nodePath: string; runnerPath: string; rebuilt: boolean };

/**
 * Makes or updates node and runner.mjs in `dir`; an unchanged toolkit is left alone, CLIs are never touched.
 * Safe while workers run from it: files are put in place by rename. Must run under Node 24 or newer.
 * @throws when the running Node is too old or the bundle cannot be built
 */
export async function prepareToolkit({ dir }: { dir: string }): Promise<PreparedToolkit> {
  if (Number(process.versions.node.split(".")[0]) < 24)
    throw new Error(`the toolkit needs Node 24 or newer; this is ${process.versions.node}`);
  const prepared = { dir, nodePath: path.join(dir, "node"), runnerPath: path.join(dir, "runner.mjs") };
  await mkdir(dir, { recursive: true, mode: 0o755 });
  await chmod(dir, 0o755);
  await removeLeftOvers(dir);
  const stamp = await currentStamp();
  if ((await readText(path.join(dir, STAMP))) === stamp && (await exist([prepared.nodePath, prepared.runnerPath])))
    return { ...prepared, rebuilt: false };
  const temporary = path.join(dir, `.new-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { mode: 0o755 });
  try {
    await placeNode(path.join(temporary, "node"));
    await bundleRunner(path.join(temporary, "runner.mjs"));
    await chmod(path.join(temporary, "runner.mjs"), 0o644);
    await rename(path.join(temporary, "node"), prepared.nodePath);
    await rename(path.join(temporary, "runner.mjs"), prepared.runnerPath);
    // Last: a stamp says that what it names is in place.
    await writeFile(path.join(temporary, STAMP), stamp, { mode: 0o644 });
    await rename(path.join(temporary, STAMP), path.join(dir, STAMP));
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return { ...prepared, rebuilt: true };
}

/** What a process that was killed while it made one has left: Node's binary alone is more than 100 MB. */
async function removeLeftOvers(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const maker = /^\.new-(\d+)$/.exec(name)?.[1];
    if (maker !== undefined && !runs(Number(maker))) await rm(path.join(dir, name), { recursive: true, force: true });
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** What the toolkit is made from: Node, the runner's sources, the lockfile with everything they import. */
async function currentStamp(): Promise<string> {
  const hash = createHash("sha256");
  const patterns = [
    "executor-host/runner/**/*.ts",
    "durable/protocol/*.ts",
    "executor-host/toolkit/bundle.ts",
    "package-lock.json",
  ];
  const files = await Array.fromAsync(glob(patterns, { cwd: ROOT }));
  if (files.length < 10) throw new Error("the runner's sources were not found");
  for (const file of files.sort())
    hash
      .update(`${file}\0`)
      .update(await readFile(path.join(ROOT, file)))
      .update("\0");
  return JSON.stringify({ node: process.version, arch: process.arch, sources: hash.digest("hex") });
}

/** A hard link costs nothing; another file system, or one that cannot link, gets a copy. */
async function placeNode(target: string): Promise<void> {
  const isReadable = ((await stat(process.execPath)).mode & 0o005) === 0o005;
  if (isReadable && (await tryLink(process.execPath, target))) return;
  await copyFile(process.execPath, target);
  await chmod(target, 0o755);
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EXDEV" || code === "EPERM" || code === "EMLINK" || code === "ENOTSUP") return false;
    throw error;
  }
}

async function exist(files: string[]): Promise<boolean> {
  const found = await Promise.allSettled(files.map((file) => stat(file)));
  return found.every(({ status }) => status === "fulfilled");
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
