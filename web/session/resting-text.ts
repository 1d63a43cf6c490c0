/** A session whose worker is not there: where its files are, and what the next prompt does with them. Pure. */
import type { HostStatus } from "#protocol/vocabulary.ts";
import type { Whereabouts } from "#protocol/whereabouts.ts";
import { fullTime } from "../format.ts";

export type RestingText = { state: string; next?: string };

/** How a host is that cannot start a worker now. */
const AWAY: Readonly<Record<Exclude<HostStatus, "online"> | "removed", string>> = {
  pending: "has not connected yet",
  draining: "takes no new work",
  offline: "is offline",
  disabled: "is disabled",
  failed: "has failed",
  removed: "was removed",
};

/** @param syncedAt when the newest snapshot was made, milliseconds since 1970 */
export function restingText(
  where: Exclude<Whereabouts, { files: "worker" }>,
  nameOf: (hostId: string) => string,
  syncedAt = 0,
): RestingText {
  const snapshot = `the snapshot of ${fullTime(syncedAt)}`;
  switch (where.files) {
    case "none":
      return { state: "No worker, and nothing saved yet" };
    case "store": {
      const removed = where.removedFrom ? ` ${nameOf(where.removedFrom)} has removed its copy.` : "";
      return { state: "No worker, files in the store", next: `The next prompt restores ${snapshot}.${removed}` };
    }
    case "warm": {
      const { host } = where;
      const state = `Stopped, files kept warm on ${nameOf(where.hostId)}`;
      if (host === undefined) return { state };
      if (host !== "online")
        return {
          state: `${state}, which ${AWAY[host]}`,
          next: `The next prompt restores ${snapshot} on another host.`,
        };
      return { state, next: `The next prompt starts there at once; on another host it restores ${snapshot}.` };
    }
    default:
      return where satisfies never;
  }
}
