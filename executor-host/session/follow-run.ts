/**
 * Reads a run's events from the runner until its end, over however many connections that takes. The cursor is the one on
 * disk, so a daemon that starts again goes on exactly where the last transaction ended.
 */
import type { RunEvent } from "#protocol/events.ts";
import { backOffMs, type Clock, pause } from "../clock.ts";
import type { Logger } from "../logs.ts";
import { EventBatcher } from "./event-batcher.ts";
import { RunFailed } from "./failure.ts";
import { RunnerRefused, streamProviderRun } from "./runner-client.ts";

export type FollowNeeds = {
  clock: Clock;
  chance: () => number;
  logger: Logger;
  socketPath: string;
  runId: string;
  /** The runner's number of the last event on disk. */
  cursor(): number;
  /** Puts the frames into the outbox and moves the cursor, in one transaction. */
  store(frames: RunEvent[][], lastN: number): void;
  /** Resolves when the peer has room for more. */
  room(): Promise<void>;
  /** The worker has ended, or the session has. */
  signal: AbortSignal;
};

const RETRY = { baseMs: 100, maxMs: 5_000 } as const;
/** A hole in the runner's numbers is asked for again this often before it is believed. */
const GAP_RETRIES = 3;

/**
 * Resolves when `run.finished` is stored.
 * @throws RunFailed when the runner does not know the run (any more), or leaves out events; the signal's reason when it fires
 */
export async function followRun(needs: FollowNeeds): Promise<void> {
  const { clock, chance, logger, signal } = needs;
  let gaps = 0;
  for (let failures = 0; ; ) {
    const before = needs.cursor();
    try {
      const outcome = await readStream(needs);
      if (outcome === "finished") return;
      if (outcome === "gap" && ++gaps > GAP_RETRIES) {
        throw new RunFailed("container_failed", "The runner has lost events of this run.");
      }
      logger.warn({ outcome }, "the runner's stream ended before the run did");
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof RunFailed) throw error;
      if (error instanceof RunnerRefused) {
        throw new RunFailed("container_failed", `The runner does not have this run: ${error.status} ${error.message}`);
      }
      logger.warn({ err: error }, "the runner's stream broke");
    }
    failures = needs.cursor() > before ? 0 : failures + 1;
    await pause(clock, backOffMs(RETRY, failures, chance()), signal);
    signal.throwIfAborted();
  }
}

async function readStream(needs: FollowNeeds): Promise<"finished" | "ended" | "gap"> {
  const { clock, logger, socketPath, runId, signal } = needs;
  const batcher = new EventBatcher(clock, logger, needs.store);
  let expected = needs.cursor() + 1;
  try {
    for await (const event of streamProviderRun(socketPath, { runId, cursor: expected - 1 }, signal, logger)) {
      if (event.n < expected) continue;
      if (event.n > expected) {
        logger.error({ expected, got: event.n }, "the runner skipped events");
        return "gap";
      }
      expected++;
      if (event.event === undefined) continue;
      batcher.add({ n: event.n, event: event.event });
      if (event.event.type === "run.finished") return "finished";
      await needs.room();
    }
    return "ended";
  } finally {
    // Whatever ended the stream: what was read is stored, or read again.
    batcher.flush();
    batcher.discardTimer();
  }
}
