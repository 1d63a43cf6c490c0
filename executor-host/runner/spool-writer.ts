/**
 * What a run says, on its way to the spool. A disk without room holds the run back instead of ending it:
 *
 *   written ──no room──► held (in memory, in order; the run's programs stand still) ──room──► written
 *                          └─ more than HELD_BYTES: overflow; what the run says from there on is not kept, its end is
 *
 * An event that is held is not in the file, so no reader has seen it: a runner that is killed meanwhile loses nothing that
 * anybody was told.
 */
import type { RunEvent } from "#protocol/events.ts";
import type { Clock } from "./clock.ts";
import type { Spool } from "./spool.ts";

const RETRY_MS = 500;
/** An adapter inside the runner cannot be made to stand still, and a model's whole answer is far smaller. */
const HELD_BYTES = 16 * 1024 * 1024;

export type SpoolWriterNeeds = {
  spool: Spool;
  clock: Clock;
  /** The disk has no room, or has room again. */
  held(state: "held" | "goes-on"): void;
  /** More was said than can be held. Called once. */
  overflow(): void;
};

export class SpoolWriter {
  readonly #needs: SpoolWriterNeeds;
  #held: { event: RunEvent; bytes: number }[] = [];
  #heldBytes = 0;
  #overflown = false;
  #written: () => void = () => {};

  constructor(needs: SpoolWriterNeeds) {
    this.#needs = needs;
  }

  /** @throws what the spool throws, unless it is that there is no room */
  write(event: Exclude<RunEvent, { type: "run.finished" }>): void {
    if (!this.#overflown) this.#put(event);
  }

  /** The run's last word. Resolves when it is in the spool. */
  finish(event: Extract<RunEvent, { type: "run.finished" }>): Promise<void> {
    return new Promise((resolve) => {
      this.#written = resolve;
      this.#put(event);
      if (this.#held.length === 0) resolve();
    });
  }

  #put(event: RunEvent): void {
    if (this.#held.length > 0) this.#hold(event);
    else if (!this.#append(event)) {
      this.#hold(event);
      this.#needs.held("held");
      this.#tryLater();
    }
  }

  #hold(event: RunEvent): void {
    const bytes = JSON.stringify(event).length;
    this.#held.push({ event, bytes });
    this.#heldBytes += bytes;
    if (this.#heldBytes <= HELD_BYTES || this.#overflown) return;
    this.#overflown = true;
    this.#needs.overflow();
  }

  /** False when there is no room. */
  #append(event: RunEvent): boolean {
    try {
      this.#needs.spool.append(event);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOSPC" || code === "EDQUOT") return false;
      throw error;
    }
  }

  #tryLater(): void {
    this.#needs.clock.after(RETRY_MS, () => {
      while (this.#held[0] && this.#append(this.#held[0].event)) {
        this.#heldBytes -= this.#held[0].bytes;
        this.#held.shift();
      }
      if (this.#held.length > 0) return this.#tryLater();
      this.#needs.held("goes-on");
      this.#written();
    });
  }
}
