import { useSyncExternalStore } from "react";
import { fullTime, relativeTime } from "../format.ts";

/** One clock for the whole page, so that a hundred rows do not keep a hundred timers. */
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 1_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** The time in milliseconds, a second exact. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now);
}

export function RelativeTime({ at, className }: { at: number; className?: string }) {
  const text = useSyncExternalStore(subscribe, () => relativeTime(at, Math.max(now, at)));
  return (
    <time dateTime={new Date(at).toISOString()} title={fullTime(at)} className={className}>
      {text}
    </time>
  );
}
