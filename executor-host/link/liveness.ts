/**
 * Notices a connection that is dead without saying so (PROTOCOL [P-2], [P-39]): pings on schedule, and reports silence
 * when it has lasted, to the moment and not at the next ping. The platform answers the pings, so an answer says that
 * the line is up, not that the object is well.
 */
import { TIMES } from "#protocol/limits.ts";
import type { Clock } from "../clock.ts";

export type Liveness = { heard(): void; stop(): void };

/**
 * Starts to watch; `ping` sends, `dead` is called once, after TIMES.linkSilenceMs without [Liveness.heard]. Both go by
 * timers alone: a clock that jumps is no silence.
 */
export function watchLiveness(clock: Clock, ping: () => void, dead: () => void): Liveness {
  let cancelPing = clock.after(TIMES.pingIntervalMs, pingAndGoOn);
  let cancelSilence = clock.after(TIMES.linkSilenceMs, silent);
  function pingAndGoOn() {
    cancelPing = clock.after(TIMES.pingIntervalMs, pingAndGoOn);
    ping();
  }
  let over = false;
  function silent() {
    stop();
    dead();
  }
  function stop() {
    over = true;
    cancelPing();
    cancelSilence();
  }
  return {
    heard: () => {
      if (over) return;
      cancelSilence();
      cancelSilence = clock.after(TIMES.linkSilenceMs, silent);
    },
    stop,
  };
}
