/**
 * The base image of every container test, made without a registry:
 *
 *   engine has the image ── yes ─────────────────────────────► tag
 *        │ no
 *   lock ► cached tar? ── no ──► debootstrap ► tar ► cache
 *                └───────────────── docker import ───────────► tag
 *
 * The lock only saves work. Two builders at once (a lock taken for stale too early) cannot hurt each other: each builds
 * in its own folder, publishes its tar by rename, and `docker import` moves the tag in one step.
 *
 * The recipe is stored as a label of the image and is part of the tar's name, so a changed recipe rebuilds both.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { access, constants, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const suite = "bookworm";
const tag = `gantry-test-base:${suite}`;
const debootstrapArgs = ["--variant=minbase", "--include=ca-certificates,git", "--force-check-gpg", suite];
/** Package caches, and what debootstrap copies from this machine. */
const leftOut = [
  "./var/cache/apt/*.bin",
  "./var/cache/apt/archives/*.deb",
  "./var/lib/apt/lists/*",
  "./etc/apt/sources.list",
  "./etc/hostname",
  "./etc/resolv.conf",
];
const recipeLabel = "gantry.test-base.recipe";
const recipe = createHash("sha256")
  .update(JSON.stringify([process.arch, debootstrapArgs, leftOut]))
  .digest("hex")
  .slice(0, 16);

const askTimeoutMs = 20_000;
const importTimeoutMs = 180_000;
const debootstrapTimeoutMs = 480_000;
/** Longer than all steps under the lock together (two mirrors, two imports): only a lock left behind gets this old. */
const lockMaxAgeMs = 2 * (debootstrapTimeoutMs + importTimeoutMs);
const lockPollMs = 250;
const buildPrefix = "build-";

/** Whether a Docker engine answers; `reason` says what to do when none does. */
export async function dockerAvailable(): Promise<{ ok: true } | { ok: false; reason: string }> {
  try {
    await run("docker", ["version", "--format", "{{.Server.Version}}"], askTimeoutMs);
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: `${messageOf(error)}\n.ci/run installs and starts a Docker engine.` };
  }
}

/**
 * Gives the tag of the base image (Debian with git and CA certificates), building it first when the engine lacks it:
 * about 40 s, 5 s from a cached tar. Safe to call from several processes at once.
 * Throws when no engine answers, or when the image is missing and cannot be built here (the message says why).
 */
export async function ensureBaseImage(): Promise<string> {
  const docker = await dockerAvailable();
  if (!docker.ok) throw new Error(`No base image for container tests: ${docker.reason}`);
  if (await engineHasImage()) return tag;

  const folder = await workFolder();
  const release = await takeLock(join(folder, `${suite}.lock`));
  try {
    if (!(await engineHasImage())) await importImage(folder);
  } finally {
    await release();
  }
  return tag;
}

async function engineHasImage(): Promise<boolean> {
  const format = `{{index .Config.Labels "${recipeLabel}"}}`;
  try {
    return (await run("docker", ["image", "inspect", "--format", format, tag], askTimeoutMs)).trim() === recipe;
  } catch (error) {
    if (/no such image/i.test(messageOf(error))) return false;
    throw error;
  }
}

async function importImage(folder: string): Promise<void> {
  const tar = join(folder, `${suite}-${recipe}.tar`);
  if (await exists(tar)) {
    try {
      return await dockerImport(tar);
    } catch (error) {
      console.error(`Building the base image anew, the cached ${tar} could not be imported: ${messageOf(error)}`);
      await rm(tar, { force: true });
    }
  }
  await buildTar(folder, tar);
  await dockerImport(tar);
}

async function dockerImport(tar: string): Promise<void> {
  const changes = [`LABEL ${recipeLabel}=${recipe}`, "ENV LANG=C.UTF-8", 'CMD ["/bin/bash"]'];
  const args = ["import", ...changes.flatMap((change) => ["--change", change]), tar, tag];
  await run("docker", args, importTimeoutMs);
}

async function buildTar(folder: string, tar: string): Promise<void> {
  if (process.getuid?.() !== 0) {
    throw new Error(`Docker has no image ${tag}; only root can build it (debootstrap): run this file once as root.`);
  }
  await removeAbandonedBuilds(folder);
  const building = await mkdtemp(join(folder, buildPrefix));
  try {
    const root = await debootstrap(building);
    const unfinished = join(building, "image.tar");
    const excludes = leftOut.map((pattern) => `--exclude=${pattern}`);
    await run("tar", ["-C", root, ...excludes, "-cf", unfinished, "."], importTimeoutMs);
    await rename(unfinished, tar);
  } finally {
    await removeFolder(building);
  }
}

/** What builders left behind that were killed. */
async function removeAbandonedBuilds(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (name.startsWith(buildPrefix) && (await isOlderThan(path, lockMaxAgeMs))) await removeFolder(path);
  }
}

/** Within one file system: a debootstrap that was killed may have left /proc or /sys mounted in there. */
async function removeFolder(path: string): Promise<void> {
  const removal = run("rm", ["-rf", "--one-file-system", path], importTimeoutMs);
  await removal.catch((error) => console.error(messageOf(error)));
}

/** Tries the mirrors apt uses, then debootstrap's own default. Gives the root folder of the system it made. */
async function debootstrap(building: string): Promise<string> {
  const failures: string[] = [];
  for (const mirror of [...(await aptMirrors()).map((uri) => [uri]), []]) {
    // Not `building` itself: mkdtemp's mode 0700 would become the mode of the image's `/`.
    const root = join(building, `root-${failures.length}`);
    try {
      await run("debootstrap", [...debootstrapArgs, root, ...mirror], debootstrapTimeoutMs);
      return root;
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  throw new Error(`The base image ${tag} could not be built:\n${failures.join("\n")}`);
}

async function aptMirrors(): Promise<string[]> {
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const args = ["indextargets", "--format", format, "Created-By: Packages"];
  // Without apt, debootstrap's default remains.
  const targets = await run("apt-get", args, askTimeoutMs).catch(() => "");
  const mirrors = targets
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, release, component]) => release === suite && component === "main")
    .flatMap(([uri]) => uri ?? []);
  return [...new Set(mirrors)];
}

/** The cache folder; where none can be had, a folder that the next boot may empty. */
async function workFolder(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "gantry-test");
  try {
    await mkdir(cache, { recursive: true });
    await access(cache, constants.W_OK);
    return cache;
  } catch (error) {
    console.error(`The base image will not be kept between runs: ${messageOf(error)}`);
    const fallback = join(tmpdir(), `gantry-test-${process.getuid?.() ?? "any"}`);
    await mkdir(fallback, { recursive: true, mode: 0o700 });
    return fallback;
  }
}

/** Waits for the lock file and gives the function that releases it. A lock whose process is gone is taken over. */
async function takeLock(path: string): Promise<() => Promise<void>> {
  const owner = `${process.pid} ${crypto.randomUUID()}`;
  const deadline = Date.now() + lockMaxAgeMs;
  while (!(await createLock(path, owner))) {
    if (await lockIsStale(path)) {
      await rm(path, { force: true });
      continue;
    }
    if (Date.now() > deadline) throw new Error(`${tag} is being built elsewhere for too long; if not, delete ${path}`);
    await delay(lockPollMs);
  }
  return async () => {
    if ((await readLock(path)) === owner) await rm(path, { force: true });
  };
}

async function createLock(path: string, owner: string): Promise<boolean> {
  try {
    await writeFile(path, owner, { flag: "wx" });
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

async function readLock(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch((error) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
}

async function lockIsStale(path: string): Promise<boolean> {
  const owner = await readLock(path);
  if (owner === undefined) return false; // Released meanwhile.
  if (await isOlderThan(path, lockMaxAgeMs)) return true;
  const pid = Number.parseInt(owner, 10);
  return !Number.isNaN(pid) && !processLives(pid); // Not a number: its writer is between creating and writing.
}

function processLives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

async function isOlderThan(path: string, ageMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > ageMs;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

/** Runs a program and gives its output; the error names the command line and the end of what it printed. */
function run(program: string, args: string[], timeoutMs: number): Promise<string> {
  const env = { ...process.env, LC_ALL: "C", PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  return new Promise((resolve, reject) => {
    execFile(program, args, { env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const why =
        error.code === "ENOENT"
          ? `${program} is not installed`
          : error.killed
            ? `no end after ${timeoutMs} ms`
            : `ended with ${error.signal ?? error.code}`;
      const printed = `${stdout}\n${stderr}`.trim().split("\n").slice(-8).join("\n");
      reject(new Error(`${[program, ...args].join(" ")}: ${why}\n${printed}`.trimEnd()));
    });
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

if (import.meta.main) {
  console.log(await ensureBaseImage());
}
