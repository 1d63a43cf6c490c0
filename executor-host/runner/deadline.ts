/**
 * The time that a run may take. It does not run while a person is asked: nobody's answer is late, and what was left goes
 * on when the answer is there.
 *
 *   running ── pause ──► paused (what is left) ── goOn ──► running ── nothing left ──► expired()
 */
import type { Clock } from "./clock.ts";

type Phase =
  | { name: "running"; endsAt: number; cancel: () => void }
  | { name: "paused"; leftMs: number }
  | { name: "over" };

export class Deadline {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #phase: Phase;

  /** Starts at once; `expired` is called at most once. */
  constructor(clock: Clock, timeoutMs: number, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
    this.#phase = this.#running(timeoutMs);
  }

  pause(): void {
    if (this.#phase.name !== "running") return;
    this.#phase.cancel();
    this.#phase = { name: "paused", leftMs: Math.max(0, this.#phase.endsAt - this.#clock.now()) };
  }

  goOn(): void {
    if (this.#phase.name === "paused") this.#phase = this.#running(this.#phase.leftMs);
  }

  /** Nobody is interested any more. */
  cancel(): void {
    if (this.#phase.name === "running") this.#phase.cancel();
    this.#phase = { name: "over" };
  }

  #running(leftMs: number): Phase {
    const cancel = this.#clock.after(leftMs, () => {
      this.#phase = { name: "over" };
      this.#expired();
    });
    return { name: "running", endsAt: this.#clock.now() + leftMs, cancel };
  }
}
