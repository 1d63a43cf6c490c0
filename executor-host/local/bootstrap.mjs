#!/usr/bin/env node
/**
 * The way in for `npm start`, `npm test` and their kin, on a fresh clone, too: plain JavaScript for any Node from 18 on,
 * without dependencies.
 *
 *   node_modules as the lockfile says? ── no ──► npm ci (one at a time) ──► stamp
 *          └────────────► the pinned Node 24 runs the TypeScript entry; signals, exit code and stdin pass through
 *
 * Standard output belongs to the entry (`--json`); everything said here goes to standard error.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const modules = join(root, "node_modules");
const stampFile = join(modules, ".gantry-lock");
const minimumNode = 24;

const entries = {
  start: ["executor-host/local/start.ts"],
  test: ["executor-host/local/test.ts"],
  check: ["executor-host/local/check.ts"],
  bench: ["test/bench/main.ts"],
  faults: ["test/faults/main.ts"],
  simulate: ["test/fuzz/main.ts"],
  pictures: ["test/pictures/main.ts"],
};

async function main() {
  const [verb, ...args] = process.argv.slice(2);
  const entry = entries[verb];
  if (entry === undefined) return fail(`usage: bootstrap.mjs ${Object.keys(entries).join(" | ")} [arguments]`);
  await installIfNeeded();
  const [file, ...fixed] = entry;
  process.exitCode = await run(nodeBinary(), [join(root, file), ...fixed, ...args]);
}

/** The lockfile decides; what it is compared with is written after an install that succeeded. */
async function installIfNeeded() {
  if (installed()) return;
  const release = await takeLock(
    join(tmpdir(), `gantry-npm-ci-${createHash("sha256").update(root).digest("hex").slice(0, 16)}`),
  );
  try {
    if (installed()) return; // The one we waited for did it.
    process.stderr.write("Installing what package-lock.json says (once, about half a minute) …\n");
    rmSync(stampFile, { force: true });
    const code = await quietly(process.platform === "win32" ? "npm.cmd" : "npm", [
      "ci",
      "--no-audit",
      "--no-fund",
      "--loglevel=error",
    ]);
    if (code !== 0) fail("npm ci failed; its words are above.");
    writeFileSync(stampFile, lockHash());
  } finally {
    release();
  }
}

function installed() {
  const hash = lockHash();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === hash) return true;
  if (!matchesLockfile()) return false;
  writeFileSync(stampFile, hash);
  return true;
}

/** Somebody ran `npm ci` or `npm install` themselves: npm's own record, written last, says what is there. */
function matchesLockfile() {
  const recordFile = join(modules, ".package-lock.json");
  if (!existsSync(recordFile)) return false;
  const found = JSON.parse(readFileSync(recordFile, "utf8")).packages;
  const wanted = Object.entries(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages);
  return wanted.every(([path, entry]) => {
    if (path === "") return true;
    if (found[path] === undefined) return entry.optional === true || entry.peer === true;
    return found[path].version === entry.version && found[path].integrity === entry.integrity;
  });
}

/** Other platforms need other packages: the same folder mounted elsewhere is not installed there. */
function lockHash() {
  const lock = readFileSync(join(root, "package-lock.json"));
  return createHash("sha256").update(lock).update(`${process.platform}-${process.arch}`).digest("hex");
}

function nodeBinary() {
  const pinned = join(modules, `node-${process.platform}-${process.arch}`, "bin", "node");
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split(".")[0]) >= minimumNode) return process.execPath;
  return fail(
    `Gantry needs Node ${minimumNode} here (this is ${process.versions.node}); install it from https://nodejs.org and try again.`,
  );
}

/** Output is kept back and shown only when it failed. */
function quietly(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    const printed = [];
    child.stdout.on("data", (chunk) => printed.push(chunk));
    child.stderr.on("data", (chunk) => printed.push(chunk));
    child.on("error", (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(1);
    });
    child.on("close", (code) => {
      if (code !== 0) process.stderr.write(Buffer.concat(printed));
      resolve(code ?? 1);
    });
  });
}

/** The channel tells the entry when this process is gone without having been able to pass a signal on. */
function run(command, args) {
  const env = {
    ...process.env,
    PATH: `${join(modules, ".bin")}${process.platform === "win32" ? ";" : ":"}${process.env.PATH}`,
  };
  const child = spawn(command, args, { stdio: ["inherit", "inherit", "inherit", "ipc"], env });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on("error", (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(1);
    });
    child.on("exit", (code, signal) =>
      resolve(signal ? 128 + ({ SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 0) : code),
    );
  });
}

/** A folder is made by one process only. One older than any install takes was left behind. */
async function takeLock(path) {
  const maxAgeMs = 10 * 60_000;
  let said = false;
  for (;;) {
    try {
      mkdirSync(path);
      writeFileSync(join(path, "pid"), String(process.pid));
      const release = () => rmSync(path, { recursive: true, force: true });
      process.once("exit", release);
      return release;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (abandoned(path, maxAgeMs)) rmSync(path, { recursive: true, force: true });
    else {
      if (!said) process.stderr.write("Another process is installing; waiting for it …\n");
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function abandoned(path, maxAgeMs) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return false;
  const pidFile = join(path, "pid");
  const pid = existsSync(pidFile) ? Number(readFileSync(pidFile, "utf8")) : 0;
  if (Date.now() - found.mtimeMs > maxAgeMs) return true;
  if (!pid) return false; // Its owner is between two steps.
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

await main();
