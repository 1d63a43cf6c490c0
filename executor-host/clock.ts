/** Time and chance as needs of the loops, so that a test can hold both still. */
export type Clock = {
  /** Milliseconds since 1970 on this machine; never compared with the server's. */
  now(): number;
  /** Calls `run` once after `delayMs`; the answer cancels it, and may be called at any time. */
  after(delayMs: number, run: () => void): () => void;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (delayMs, run) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or at once when `signal` aborts; the caller looks at the signal. */
export function pause(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(delayMs, done);
    signal?.addEventListener("abort", done, { once: true });
  });
}

export type BackOff = { baseMs: number; maxMs: number };

/**
 * Exponential back-off with jitter: attempt 0 waits up to `baseMs`, doubling up to `maxMs`. Half of it is chance, so that
 * hosts which lost the same server do not come back in step.
 * @param chance a number in [0, 1)
 */
export function backOffMs({ baseMs, maxMs }: BackOff, attempt: number, chance: number): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling * (0.5 + chance / 2));
}
