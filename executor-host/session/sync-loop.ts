/**
 * Keeps the store up to date with the workspace, without anybody waiting for it: at most one sync runs; whatever
 * asks meanwhile gets one more, together. A failure is reported and tried again after 1, 2, 4 … 60 s. After ATTEMPTS of them the loop
 * is blocked: it waits for a person, or for the next request, which is one more try. Meanwhile the worker stays, because it
 * is not given up before its work is saved.
 */
import { type Clock, pause } from "../clock.ts";
import type { Logger } from "../logs.ts";
import { StoreError, type SyncResult } from "../workspace/port.ts";
import { messageOf } from "./failure.ts";

export type SyncNeeds = {
  clock: Clock;
  logger: Logger;
  /** Ends everything: the lease is gone, or the daemon closes. */
  signal: AbortSignal;
  /** One sync of the workspace as it is now. */
  sync(signal: AbortSignal): Promise<SyncResult>;
  /** Everything that was asked for before the sync began is in the store. */
  saved(result: SyncResult, upToDate: boolean): void;
  failed(report: { reason: string; attempt: number; retryInMs?: number; blocked?: boolean }): void;
};

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** About six minutes of trying. */
const ATTEMPTS = 12;

export class SyncLoop {
  readonly #needs: SyncNeeds;
  /** Counts requests; a sync covers those made before it began. */
  #asked = 0;
  #done = 0;
  #running = false;
  #attempt = 1;
  #hurry = new AbortController();
  #waiters: { target: number; resolve: () => void }[] = [];

  constructor(needs: SyncNeeds) {
    this.#needs = needs;
    needs.signal.addEventListener("abort", () => this.#settle(Number.POSITIVE_INFINITY), { once: true });
  }

  /** Asks for a sync that sees everything written until now. Cuts a pause between tries short. */
  request(): void {
    this.#asked++;
    this.#hurry.abort();
    if (!this.#running && !this.#needs.signal.aborted) void this.#run();
  }

  /** Asks, and resolves when it has succeeded, or when the signal ended everything: look at the signal. */
  saved(): Promise<void> {
    this.request();
    if (this.#needs.signal.aborted) return Promise.resolve();
    const target = this.#asked;
    return new Promise((resolve) => this.#waiters.push({ target, resolve }));
  }

  /** Another series of tries, from now. */
  extend(): void {
    this.#attempt = 1;
    this.request();
  }

  /** What was asked for is not to be saved any more: whoever waits for it goes on. */
  giveUp(): void {
    this.#done = this.#asked;
    this.#attempt = 1;
    this.#hurry.abort();
    this.#settle(this.#asked);
  }

  async #run(): Promise<void> {
    const { clock, logger, signal } = this.#needs;
    this.#running = true;
    while (this.#done < this.#asked && !signal.aborted) {
      const target = this.#asked;
      this.#hurry = new AbortController();
      try {
        const startedAt = clock.now();
        const result = await this.#needs.sync(signal);
        if (signal.aborted) break;
        logger.info({ phase: "sync", ...result, ms: clock.now() - startedAt }, "workspace saved");
        this.#attempt = 1;
        this.#done = Math.max(this.#done, target);
        this.#needs.saved(result, this.#asked === target);
        this.#settle(target);
      } catch (error) {
        if (signal.aborted) break;
        // Given up while it was tried.
        if (this.#done >= target) continue;
        const attempt = this.#attempt++;
        const blocked = attempt >= ATTEMPTS;
        const retryInMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (attempt - 1));
        logger.warn({ err: error, attempt, retryInMs, blocked }, "the workspace could not be saved");
        this.#tell({ reason: reasonOf(error), attempt, ...(blocked ? { blocked } : { retryInMs }) });
        const wanted = AbortSignal.any([signal, this.#hurry.signal]);
        if (blocked) await aborted(wanted);
        else await pause(clock, retryInMs, wanted);
      }
    }
    this.#running = false;
  }

  /** On a disk so full that not even this can be stored, the next attempt says it. */
  #tell(report: Parameters<SyncNeeds["failed"]>[0]): void {
    try {
      this.#needs.failed(report);
    } catch (error) {
      this.#needs.logger.error({ err: error }, "that the workspace is not saved could not be told");
    }
  }

  #settle(done: number): void {
    const ready = this.#waiters.filter((waiter) => waiter.target <= done);
    this.#waiters = this.#waiters.filter((waiter) => waiter.target > done);
    for (const waiter of ready) waiter.resolve();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

function reasonOf(error: unknown): string {
  return (error instanceof StoreError ? `${error.reason}: ${error.message}` : messageOf(error)).slice(0, 1_000);
}
