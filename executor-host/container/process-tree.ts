/**
 * Ends a worker process with what it started: first everything is asked (SIGTERM), then killed.
 *
 * What belongs to it needs proof, because pids are used again. Two things are proof on Linux:
 *   - the mark, a random word in the environment that the worker was given and that its children inherit, also those that
 *     left its session (setsid);
 *   - its session, but only when its leader was seen alive with the right fingerprint: a session whose leader is gone
 *     may be a stranger's that got the same number.
 * Elsewhere there is only the second, with the process group in place of the session.
 */
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { fingerprint } from "./fingerprint.ts";

export const MARK_VARIABLE = "GANTRY_WORKER_MARK";

/** A process that leads its own session, and what proves that something belongs to it. */
export type KnownProcess = { pid: number; fingerprint: string; mark?: string };

const lookIntervalMs = 25;
/** SIGKILL takes effect as soon as the process is out of the kernel; more than this means a broken disk or the like. */
const deathTimeoutMs = 10_000;

/** True while the process itself runs. */
export async function lives(known: KnownProcess): Promise<boolean> {
  return (await fingerprint(known.pid)) === known.fingerprint;
}

/**
 * @param graceMs between SIGTERM and SIGKILL; 0: SIGKILL at once
 * @throws Error when something of it still runs long after SIGKILL
 */
export async function killTree(known: KnownProcess, graceMs: number): Promise<void> {
  const members = (await lives(known)) ? () => descendants(known, known.pid) : () => descendants(known, undefined);
  if (graceMs > 0) {
    for (const pid of await members()) send(pid, "SIGTERM");
    if (await goneWithin(members, graceMs)) return;
  }
  const deadline = performance.now() + deathTimeoutMs;
  for (;;) {
    // Again and again: what is about to fork while it is being killed leaves a child that the first look did not see.
    for (const pid of await members()) send(pid, "SIGKILL");
    if (await goneWithin(members, lookIntervalMs)) return;
    if (performance.now() > deadline) {
      throw new Error(`worker process ${known.pid} or a child of it is still there ${deathTimeoutMs} ms after SIGKILL`);
    }
  }
}

async function goneWithin(members: () => Promise<number[]>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if ((await members()).length === 0) return true;
    if (performance.now() >= deadline) return false;
    await delay(lookIntervalMs);
  }
}

/** Pids, or negative numbers for a whole group, as kill(2) takes them. */
async function descendants({ mark }: KnownProcess, session: number | undefined): Promise<number[]> {
  if (process.platform !== "linux") return session !== undefined && send(-session, 0) ? [-session] : [];
  const pids = (await readdir("/proc")).filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => ((await isOf(pid, session)) || (await bears(pid, mark)) ? [pid] : [])),
  );
  return found.flat();
}

async function isOf(pid: number, session: number | undefined): Promise<boolean> {
  if (session === undefined) return false;
  const stat = await ofProcess(pid, "stat");
  // proc_pid_stat(5), from the state (3) on: state, parent, group, session.
  const [state, , , sid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(sid) === session && state !== "Z" && state !== "X";
}

/** A zombie has no environment any more, so it bears no mark. */
async function bears(pid: number, mark: string | undefined): Promise<boolean> {
  if (mark === undefined) return false;
  return (await ofProcess(pid, "environ")).split("\0").includes(`${MARK_VARIABLE}=${mark}`);
}

/** Empty for a process that is gone, and for one that is not ours to read, which is then not ours to kill either. */
async function ofProcess(pid: number, file: "stat" | "environ"): Promise<string> {
  return readFile(`/proc/${pid}/${file}`, "utf8").catch((error: unknown) => {
    if (hasCode(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return "";
    throw error;
  });
}

/** Gives whether there was anybody to send it to. */
function send(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, "ESRCH")) return false;
    throw error;
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
