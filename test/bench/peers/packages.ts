/**
 * The queues that Gantry is measured beside, installed on demand into a cache folder outside the clone: they are measured,
 * never depended on. Exact versions stand in the manifest and the lockfile beside this file.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

const MANIFEST = ["package.json", "package-lock.json"];

/** What of a package's interface is used here. */
export type BullMq = {
  Queue: new (
    name: string,
    options: object,
  ) => {
    add(name: string, data: object): Promise<unknown>;
    close(): Promise<void>;
    waitUntilReady(): Promise<unknown>;
  };
  Worker: new (
    name: string,
    work: (job: { data: { id: string } }) => Promise<void>,
    options: object,
  ) => { close(): Promise<void>; waitUntilReady(): Promise<unknown>; on(event: "error", listener: () => void): void };
};
export type GraphileWorker = {
  makeWorkerUtils(options: object): Promise<{
    migrate(): Promise<void>;
    addJob(task: string, payload: object): Promise<unknown>;
    release(): Promise<void>;
  }>;
  run(options: object): Promise<{ stop(): Promise<void> }>;
  Logger: new (factory: () => () => void) => object;
};

export type Packages = { bullmq: BullMq; graphile: GraphileWorker; versions: Record<string, string> };

/** Installs them when they are not there yet. @throws when npm fails */
export async function peerPackages(): Promise<Packages> {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
  const dir = join(cache, "gantry-bench", hashOfManifest());
  if (!existsSync(dir)) await install(dir);
  const load = createRequire(join(dir, "package.json"));
  const { dependencies } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return { bullmq: load("bullmq"), graphile: load("graphile-worker"), versions: dependencies };
}

function hashOfManifest(): string {
  const hash = createHash("sha256");
  for (const name of MANIFEST) hash.update(readFileSync(join(import.meta.dirname, name)));
  return hash.digest("hex").slice(0, 16);
}

async function install(dir: string): Promise<void> {
  const temporary = `${dir}.new-${process.pid}`;
  mkdirSync(temporary, { recursive: true });
  try {
    for (const name of MANIFEST) copyFileSync(join(import.meta.dirname, name), join(temporary, name));
    // Not `ci`: the lockfile leaves out optional builds for other platforms, which `ci` takes for a mistake.
    const args = ["install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"];
    const npm = spawn("npm", args, { cwd: temporary, stdio: ["ignore", "ignore", "ignore"] });
    const [code] = await once(npm, "close");
    if (code !== 0) throw new Error(`npm install failed with ${code}`);
    renameSync(temporary, dir);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
