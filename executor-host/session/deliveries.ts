/**
 * Brings a person's stop and answers to the runner, again and again until it has taken them: they are on disk, so neither
 * a runner that is slow to answer nor a daemon that was killed loses one. A stop that the runner does not obey in time
 * ends the worker.
 */
import { backOffMs, type Clock, pause } from "../clock.ts";
import type { Logger } from "../logs.ts";
import type { ReplyRecord } from "./records.ts";
import { RunnerRefused, replyToRunner, stopProviderRun } from "./runner-client.ts";

export type DeliveryNeeds = {
  clock: Clock;
  chance: () => number;
  logger: Logger;
  socketPath: string;
  runId: string;
  stopWanted(): boolean;
  replies(): ReplyRecord[];
  endReply(id: number): void;
  /** The runner had its time to stop the run and did not. */
  overdue(): void;
  /** The run has ended. */
  signal: AbortSignal;
};

const RETRY = { baseMs: 200, maxMs: 5_000 } as const;
/** Interrupt 5 s, SIGTERM 5 s, and a moment: less than TIMES.cancelDeadlineMs, so that the session hears our word first. */
const STOP_PATIENCE_MS = 13_000;

export class Deliveries {
  readonly #needs: DeliveryNeeds;
  #running = false;
  #stopDelivered = false;
  #cancelOverdue: (() => void) | undefined;

  constructor(needs: DeliveryNeeds) {
    this.#needs = needs;
    needs.signal.addEventListener("abort", () => this.#cancelOverdue?.(), { once: true });
  }

  /** Something may be there to deliver. */
  kick(): void {
    if (!this.#running && !this.#needs.signal.aborted) void this.#run();
  }

  async #run(): Promise<void> {
    const { clock, chance, logger, signal } = this.#needs;
    this.#running = true;
    for (let failures = 0; !signal.aborted; ) {
      try {
        if (!(await this.#deliverOne())) break;
        failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        logger.warn({ err: error }, "the runner did not take a delivery");
        await pause(clock, backOffMs(RETRY, failures++, chance()), signal);
      }
    }
    this.#running = false;
  }

  /** False when nothing is left. Stop goes before answers: a late approval must not restart what was stopped. */
  async #deliverOne(): Promise<boolean> {
    const { runId, socketPath, signal, clock } = this.#needs;
    if (!this.#stopDelivered && this.#needs.stopWanted()) {
      this.#cancelOverdue ??= clock.after(STOP_PATIENCE_MS, () => this.#needs.overdue());
      await answered(stopProviderRun(socketPath, runId, signal));
      this.#stopDelivered = true;
      return true;
    }
    const next = this.#needs.replies()[0];
    if (!next) return false;
    const refused = await answered(replyToRunner(socketPath, runId, next.reply, signal));
    if (refused) this.#needs.logger.info({ status: refused.status }, "the runner refused an answer");
    this.#needs.endReply(next.id);
    return true;
  }
}

/** A refusal of the client's kind is an answer, too: asking again would get it again. */
async function answered(call: Promise<void>): Promise<RunnerRefused | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof RunnerRefused && error.status >= 400 && error.status < 500) return error;
    throw error;
  }
}
