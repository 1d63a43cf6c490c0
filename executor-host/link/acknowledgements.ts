/** When to acknowledge without having anything to say: after 64 messages or 50 ms, whatever comes first. */
import type { Clock } from "../clock.ts";

const MAX_MESSAGES = 64;
const MAX_DELAY_MS = 50;

export class Acknowledgements {
  readonly #clock: Clock;
  readonly #send: () => void;
  #due = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, send: () => void) {
    this.#clock = clock;
    this.#send = send;
  }

  /** A message was taken, or seen again. */
  owe(): void {
    this.#due++;
    if (this.#due >= MAX_MESSAGES) this.#now();
    else this.#cancel ??= this.#clock.after(MAX_DELAY_MS, () => this.#now());
  }

  /** A frame that carries the acknowledgement has left, or the connection is gone. */
  settled(): void {
    this.#due = 0;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #now(): void {
    this.settled();
    this.#send();
  }
}
