/**
 * Notices a connection that is dead without saying so (PROTOCOL [P-2]): pings on schedule, and reports silence. The
 * platform answers the pings, so an answer says that the line is up, not that the object is well.
 */
import { TIMES } from "#protocol/limits.ts";
import type { Clock } from "../clock.ts";

export type Liveness = { heard(): void; stop(): void };

/** Starts to watch; `ping` sends, `dead` is called once, after TIMES.linkSilenceMs without [Liveness.heard]. */
export function watchLiveness(clock: Clock, ping: () => void, dead: () => void): Liveness {
  let heardAt = clock.now();
  let cancel = clock.after(TIMES.pingIntervalMs, tick);
  function tick(): void {
    if (clock.now() - heardAt >= TIMES.linkSilenceMs) {
      dead();
      return;
    }
    cancel = clock.after(TIMES.pingIntervalMs, tick);
    ping();
  }
  return {
    heard: () => {
      heardAt = clock.now();
    },
    stop: () => cancel(),
  };
}
