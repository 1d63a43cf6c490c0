/** A clock that stands still until the test moves it. Timers fire in the order of their time, then of their making. */
import type { Clock } from "../../executor-host/clock.ts";

type Timer = { at: number; run: () => void };

export class HeldClock implements Clock {
  #now: number;
  #timers: Timer[] = [];
  #watchers: { holds: () => boolean; resolve: () => void }[] = [];

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    this.#look();
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  /** How long until each timer that is set, soonest first. */
  pending(): number[] {
    return this.#timers.map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Moves on by `ms`; timers that become due run, those they set as well. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }

  /** Resolves when `holds`; looked at whenever a timer is set, which is what every waiting loop does. */
  until(holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ holds, resolve }));
  }

  /** Resolves when a timer of about this length is set. */
  timer(fits: (delayMs: number) => boolean): Promise<void> {
    return this.until(() => this.pending().some(fits));
  }

  #look(): void {
    const ready = this.#watchers.filter(({ holds }) => holds());
    this.#watchers = this.#watchers.filter((watcher) => !ready.includes(watcher));
    for (const { resolve } of ready) resolve();
  }
}
