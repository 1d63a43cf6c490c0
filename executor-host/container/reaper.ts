/**
 * Which containers may be swept away. Pure; the rule is proof, not absence: ours by its exact label, and dead. Everything
 * that is running, paused, restarting, somebody else's or not understood stays.
 */
import { type Labels, ownedBy } from "./labels.ts";

/** A container that was created and not started is a start under way until it is this old. */
export const UNSTARTED_GRACE_MS = 10 * 60_000;

/** What the engine says of a container. */
export type Seen = { id: string; state: string; labels: Labels | undefined; createdAtMs: number };

export type Verdict = { reap: true } | { reap: false; why: "foreign" | "alive" | "starting" | "unknown" };

/**
 * @param starting ids of containers that this process is starting right now: a start reads a dead container's last words
 *   and removes it itself
 */
export function judge(seen: Seen, installationId: string, nowMs: number, starting: ReadonlySet<string>): Verdict {
  if (!ownedBy(seen.labels, installationId)) return { reap: false, why: "foreign" };
  if (starting.has(seen.id)) return { reap: false, why: "starting" };
  switch (seen.state) {
    case "exited":
    case "dead":
      return { reap: true };
    case "created":
      return nowMs - seen.createdAtMs > UNSTARTED_GRACE_MS ? { reap: true } : { reap: false, why: "starting" };
    case "running":
    case "paused":
    case "restarting":
      return { reap: false, why: "alive" };
    default:
      return { reap: false, why: "unknown" };
  }
}
