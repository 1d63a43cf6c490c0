/** When a host counts as gone. Pure; times are the server's own, milliseconds since 1970. */
import { TIMES } from "#protocol/limits.ts";

export type Liveness = {
  /** The last sign of life: a ping that the platform answered, a frame, or the moment its socket closed. */
  lastSeenAt: number;
  connected: boolean;
};

/**
 * After a crash of this object the silence was ours, not the host's: it gets the time of a lease once more, and its
 * back-off may have grown meanwhile.
 */
const AFTER_OUR_CRASH = 2;

export function leaseEndsAt(liveness: Liveness, crashedAt: number | undefined): number {
  const fromHost = liveness.lastSeenAt + TIMES.leaseMs;
  return crashedAt === undefined ? fromHost : Math.max(fromHost, crashedAt + AFTER_OUR_CRASH * TIMES.leaseMs);
}
