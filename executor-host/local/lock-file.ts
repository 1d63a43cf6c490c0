/**
 * One holder at a time, told apart by process identity, so that a lock left behind by a killed process is taken over at
 * once and a lock of a living one never is. It is a link whose target names the holder: made whole or not at all, and
 * without a block of its own, so that it can be had on a full disk.
 */
import { rmSync, symlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { hasCode, identify, lives, type ProcessIdentity, readRecord } from "./process-identity.ts";

const pollMs = 100;

/** Takes the lock or gives the process that holds it. The holder releases with the function it gets. */
export function tryLock(path: string): { release: () => void } | { heldBy: ProcessIdentity } {
  const self = identify(process.pid);
  if (self === undefined) throw new Error("This process cannot find itself in the process table.");
  for (;;) {
    try {
      symlinkSync(JSON.stringify(self), path);
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    const holder = readRecord(path);
    if (holder !== undefined && lives(holder)) return { heldBy: holder };
    rmSync(path, { force: true });
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
