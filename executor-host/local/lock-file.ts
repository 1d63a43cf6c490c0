/**
 * One holder at a time, told apart by process identity, so that a lock left behind by a killed process is taken over at
 * once and a lock of a living one never is.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, identify, lives, type ProcessIdentity } from "./process-identity.ts";

const pollMs = 100;

/** Takes the lock or gives the process that holds it. The holder releases with the function it gets. */
export function tryLock(path: string): { release: () => void } | { heldBy: ProcessIdentity } {
  const self = identify(process.pid);
  if (self === undefined) throw new Error("This process cannot find itself in the process table.");
  const mine = `${path}.${process.pid}`;
  // Written whole and then linked: nobody ever reads a half-written lock.
  writeFileSync(mine, JSON.stringify(self), { mode: 0o600 });
  try {
    for (;;) {
      try {
        linkSync(mine, path);
        return { release: () => rmSync(path, { force: true }) };
      } catch (error) {
        if (!hasCode(error, "EEXIST")) throw error;
      }
      const holder = readHolder(path);
      if (holder !== undefined && lives(holder)) return { heldBy: holder };
      rmSync(path, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Runs `work` while holding the lock, waiting up to `waitMs` for it. Throws when it stays taken. */
export async function withLock<T>(path: string, waitMs: number, work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + waitMs;
  for (;;) {
    const lock = tryLock(path);
    if ("release" in lock) return await work().finally(lock.release);
    if (Date.now() > deadline) throw new Error(`Process ${lock.heldBy.pid} has held ${path} for too long.`);
    await delay(pollMs);
  }
}

function readHolder(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ProcessIdentity;
  } catch (error) {
    if (hasCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
