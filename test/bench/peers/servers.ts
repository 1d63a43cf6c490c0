/**
 * Debian's own Redis and PostgreSQL, when they are installed: each in a folder of its own that is removed at the end, on a Unix
 * socket, as durable as Gantry is, which has a run on disk before it says so.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export type Server = { socket: string; version: string; stop(): Promise<void> };

const READY_WITHIN_MS = 20_000;
/** PostgreSQL does not run as root. */
const POSTGRES_USER = "postgres";

/** Redis with an append-only file that is synced at every write; undefined when there is none here. */
export async function startRedis(): Promise<Server | undefined> {
  const version = spawnSync("redis-server", ["--version"], { encoding: "utf8" }).stdout?.match(/v=([\d.]+)/)?.[1];
  if (version === undefined) return undefined;
  const dir = mkdtempSync(join(tmpdir(), "gantry-redis-"));
  const socket = join(dir, "socket");
  const options = [
    "--port",
    "0",
    "--unixsocket",
    socket,
    "--dir",
    dir,
    "--save",
    "",
    "--maxmemory-policy",
    "noeviction",
  ];
  const durable = ["--appendonly", "yes", "--appendfsync", "always"];
  const server = spawn("redis-server", [...options, ...durable], { stdio: "ignore" });
  await ready(server, () => existsSync(socket));
  return { socket, version, stop: () => stopped(server, "SIGTERM", dir) };
}

/** PostgreSQL as it comes, `synchronous_commit` on; undefined when there is none here. */
export async function startPostgres(): Promise<Server | undefined> {
  const installed = "/usr/lib/postgresql";
  const version = existsSync(installed) ? readdirSync(installed).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  if (version === undefined) return undefined;
  const bin = join(installed, version, "bin");
  const dir = mkdtempSync(join(tmpdir(), "gantry-postgres-"));
  const isRoot = process.getuid?.() === 0;
  const as = (program: string, args: string[]): [string, string[]] =>
    isRoot
      ? ["setpriv", ["--reuid", POSTGRES_USER, "--regid", POSTGRES_USER, "--init-groups", program, ...args]]
      : [program, args];
  if (isRoot) spawnSync("chown", [POSTGRES_USER, dir]);
  chmodSync(dir, 0o700);
  const data = join(dir, "data");
  const made = spawnSync(...as(join(bin, "initdb"), ["-D", data, "-A", "trust", "-U", "bench"]), { encoding: "utf8" });
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const args = ["-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200"];
  const server = spawn(...as(join(bin, "postgres"), args), { stdio: "ignore" });
  const isUp = () => spawnSync(join(bin, "pg_isready"), ["-h", dir, "-U", "bench", "-d", "postgres"]).status === 0;
  await ready(server, isUp);
  return { socket: dir, version, stop: () => stopped(server, "SIGTERM", dir) };
}

async function ready(server: ChildProcess, isUp: () => boolean): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (!isUp()) {
    if (server.exitCode !== null || performance.now() > until) throw new Error("a server for a peer did not start");
    await pause(50);
  }
}

async function stopped(server: ChildProcess, signal: NodeJS.Signals, dir: string): Promise<void> {
  const gone = once(server, "exit");
  server.kill(signal);
  await gone;
  rmSync(dir, { recursive: true, force: true });
}
