/**
 * The threads that sync workspaces. Starting one and reading a session's index costs more than looking at its tree, so a
 * thread that has done its work waits a while for the next sync of the same workspace, with what it knows in memory.
 *
 *   none idle ─► start ─► busy ─► idle (at most IDLE_THREADS, IDLE_MS each) ─► busy …
 *                           └► failed or aborted: ended, nothing of it is used again
 */
import { Worker } from "node:worker_threads";

/** Each holds tens of megabytes for a tree of 19,000 files. */
const IDLE_THREADS = 2;
const IDLE_MS = 60_000;
/** A sync makes and drops an object or two for each file: with the default of 16 MB most of its time is collecting them. */
const YOUNG_GENERATION_MB = 64;

type Idle = { worker: Worker; stateDir: string; timer: NodeJS.Timeout; onExit: () => void };
const idle: Idle[] = [];

/** A thread for one sync, the one that did the last of `stateDir` if it is still there. Give it back or terminate it. */
export function takeThread(stateDir: string): Worker {
  const kept = idle.find((each) => each.stateDir === stateDir);
  if (kept === undefined) {
    return new Worker(new URL("./sync-thread.ts", import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
  }
  forget(kept);
  kept.worker.ref();
  return kept.worker;
}

/** Takes back a thread that has nothing to do any more. It keeps no process alive. */
export function giveBack(worker: Worker, stateDir: string): void {
  // By name: the worker has listeners of its own, without which it hears nothing any more.
  for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
  const timer = setTimeout(() => end(entry), IDLE_MS).unref();
  const entry: Idle = { worker, stateDir, timer, onExit: () => forget(entry) };
  worker.once("exit", entry.onExit);
  // Out of memory while it waits, say: the next sync starts another.
  worker.once("error", entry.onExit);
  worker.unref();
  idle.push(entry);
  if (idle.length > IDLE_THREADS) end(idle[0]!);
}

function end(entry: Idle): void {
  forget(entry);
  void entry.worker.terminate();
}

function forget(entry: Idle): void {
  clearTimeout(entry.timer);
  entry.worker.off("exit", entry.onExit);
  const at = idle.indexOf(entry);
  if (at !== -1) idle.splice(at, 1);
}
