/** How long a supervisor waits before it starts again what has ended: longer each time, and short again after a healthy spell. */
export class Restarts {
  readonly #delaysMs: readonly number[];
  readonly #healthyMs: number;
  #inARow = 0;

  /** @param delaysMs the pause before the first, the second, … start in a row; the last one for all after it */
  constructor(delaysMs: readonly number[], healthyMs: number) {
    this.#delaysMs = delaysMs;
    this.#healthyMs = healthyMs;
  }

  /** @param ranMs how long what has ended was up, 0 when it never was. @returns the pause before the next start, in milliseconds */
  next(ranMs: number): number {
    if (ranMs > this.#healthyMs) this.#inARow = 0;
    return this.#delaysMs[Math.min(this.#inARow++, this.#delaysMs.length - 1)] ?? 0;
  }
}
