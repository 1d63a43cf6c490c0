/**
 * Gathers a run's events for a moment before they are stored and sent: the first after a pause leaves at once, what
 * follows within 50 ms leaves together, and while words keep coming the moment grows to 100 ms: every batch is a row of the
 * session's log, which a hosted session is billed for. What is not a word (a question, the end) leaves at once. One batch is one transaction: the events in the outbox, and the runner's number
 * up to which they were read. A kill between the two cannot happen, so a restart neither loses nor repeats an event.
 */
import type { RunEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { RunnerEvent } from "#protocol/runner-api.ts";
import type { Clock } from "../clock.ts";
import type { Logger } from "../logs.ts";
import { intoFrames, mergeDeltas } from "./batch.ts";

/** Longer than the runner's own gathering: else each of its batches would come after a pause. */
const WINDOW_MS = 50;
const WINDOW_MS_AT_MOST = 100;
/** What is gathered is in no outbox yet, so nothing else bounds it. */
const GATHERED_CHARS = 256 * 1024;
/** After a failed write (a full disk, most likely). */
const RETRY_MS = 1_000;

export class EventBatcher {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** Stores the frames and the cursor in one transaction. */
  readonly #store: (frames: RunEvent[][], lastN: number) => void;
  #gathered: RunEvent[] = [];
  #gatheredChars = 0;
  #lastN = 0;
  #closesWindow: (() => void) | undefined;
  #windowMs = WINDOW_MS;

  constructor(clock: Clock, logger: Logger, store: (frames: RunEvent[][], lastN: number) => void) {
    this.#clock = clock;
    this.#logger = logger;
    this.#store = store;
  }

  add({ n, event }: RunnerEvent): void {
    this.#gathered.push(event);
    this.#gatheredChars += JSON.stringify(event).length;
    this.#lastN = n;
    const leaves = event.type !== "message.delta" || this.#closesWindow === undefined;
    const full = this.#gathered.length >= LIMITS.eventsPerFrame || this.#gatheredChars >= GATHERED_CHARS;
    if (leaves || full) this.flush();
  }

  /** Stores what was gathered. @throws what the store throws; the events stay gathered then */
  flush(): void {
    this.discardTimer();
    if (this.#gathered.length === 0) return;
    this.#store(intoFrames(mergeDeltas(this.#gathered)), this.#lastN);
    this.#gathered = [];
    this.#gatheredChars = 0;
    this.#closeWindowIn(this.#windowMs);
  }

  /** Nothing happens by itself any more; what was gathered is read from the runner again. */
  discardTimer(): void {
    this.#closesWindow?.();
    this.#closesWindow = undefined;
  }

  #closeWindowIn(delayMs: number): void {
    this.#closesWindow = this.#clock.after(delayMs, () => {
      this.#closesWindow = undefined;
      // Nothing came in a whole window: the next word is the first after a pause.
      this.#windowMs = this.#gathered.length === 0 ? WINDOW_MS : Math.min(WINDOW_MS_AT_MOST, this.#windowMs * 2);
      try {
        this.flush();
      } catch (error) {
        this.#logger.error({ err: error }, "events could not be stored, trying again");
        this.#closeWindowIn(RETRY_MS);
      }
    });
  }
}
