/**
 * The threads that restore a workspace: one that does it, and as many more as there are processors that help it to write
 * (writer-thread.ts). Starting them and having their code compiled takes longer than what one of them saves, so those that
 * have done their work wait a while for the next restore; a daemon starts them before its first ([warmRestoreThreads]).
 */
import { availableParallelism } from "node:os";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";

export type RestoreThreads = { lead: Worker; writers: readonly Worker[] };

/** More than these would wait for the file system, not for a processor. */
const MOST_THREADS = 4;
const IDLE_MS = 60_000;
/** A restore makes and drops some objects for each file; the default of 16 MB has them collected over and over. */
const resourceLimits = { maxYoungGenerationSizeMb: 64 };

let idle: { threads: RestoreThreads; timer: NodeJS.Timeout | undefined } | undefined;

/** Threads that nobody else uses. Give them back, or end them. */
export function takeRestoreThreads(): RestoreThreads {
  const waiting = idle;
  if (waiting === undefined) return start();
  forget();
  for (const worker of all(waiting.threads)) worker.ref();
  return waiting.threads;
}

/** Takes back threads that have nothing to do any more. They keep no process alive. */
export function giveBackRestoreThreads(threads: RestoreThreads): void {
  keep(threads, IDLE_MS);
}

/** Has threads wait for a first restore, however long that takes to come. */
export function warmRestoreThreads(): void {
  if (idle === undefined) keep(start(), undefined);
}

export async function endRestoreThreads(threads: RestoreThreads): Promise<void> {
  await Promise.all(all(threads).map((worker) => worker.terminate()));
}

/** Rejects with what ends one of the threads before its time. */
export function failureOf(threads: RestoreThreads): Promise<never> {
  return new Promise((_, reject) => {
    for (const worker of all(threads)) {
      worker.once("error", reject);
      worker.once("exit", (code) => reject(new Error(`a restore thread ended with ${code}`)));
    }
  });
}

function start(): RestoreThreads {
  const channels = Array.from(
    { length: Math.min(MOST_THREADS, availableParallelism()) - 1 },
    () => new MessageChannel(),
  );
  const writers = channels.map(({ port1 }) => startThread("./writer-thread.ts", { lead: port1 }, [port1]));
  const ports = channels.map(({ port2 }) => port2);
  return { lead: startThread("./restore-thread.ts", { writers: ports }, ports), writers };
}

function startThread(file: string, workerData: unknown, transferList: MessagePort[]): Worker {
  return new Worker(new URL(file, import.meta.url), { workerData, transferList, resourceLimits });
}

function keep(threads: RestoreThreads, forMs: number | undefined): void {
  if (idle !== undefined) return void endRestoreThreads(threads);
  for (const worker of all(threads)) {
    for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
    // Out of memory while it waits, say: the next restore starts others.
    worker.once("error", endIdle);
    worker.once("exit", endIdle);
    worker.unref();
  }
  idle = { threads, timer: forMs === undefined ? undefined : setTimeout(endIdle, forMs).unref() };
}

function endIdle(): void {
  const ending = idle;
  if (ending === undefined) return;
  forget();
  void endRestoreThreads(ending.threads);
}

function forget(): void {
  if (idle === undefined) return;
  clearTimeout(idle.timer);
  for (const worker of all(idle.threads)) {
    worker.off("error", endIdle);
    worker.off("exit", endIdle);
  }
  idle = undefined;
}

function all({ lead, writers }: RestoreThreads): Worker[] {
  return [lead, ...writers];
}
