/**
 * Carries out what `react` asked for. What stays inside the object happens in the same turn; what goes to others is
 * written to the outbox in the same turn and delivered afterwards, at least once.
 */
import type { ToHostData } from "#protocol/messages.ts";
import type { Deadlines } from "../shell/deadlines.ts";
import type { LinkStore } from "../shell/link-store.ts";
import type { Outbox } from "../shell/outbox.ts";
import type { Effect, Indexed } from "./react.ts";

/** The one peer of a session's link store: whoever holds the lease. */
export const HOST_PEER = "host";

export type EffectNeeds = {
  link: LinkStore;
  deadlines: Deadlines;
  outbox: Outbox;
  now: number;
  /** So long what the index has to learn waits for more of the same. */
  gatherMs: number;
  /** Sends a stored frame if the host is connected; otherwise it goes out when the host resumes. */
  sendToHost(frame: string): void;
  /** Closes the sockets of a host whose lease ended. */
  dropHost(currentEpoch: number | undefined): void;
};

export function carryOut(effect: Effect, needs: EffectNeeds): void {
  const { link, deadlines, outbox, now } = needs;
  switch (effect.type) {
    case "send_host":
      return needs.sendToHost(link.enqueue(HOST_PEER, effect.message satisfies ToHostData));
    case "reset_link":
      needs.dropHost(effect.epoch);
      return effect.epoch === undefined ? link.forget(HOST_PEER) : link.reset(HOST_PEER, effect.epoch);
    case "ask_fleet":
      return outbox.put(fleetKey.ask(effect.request.runId), effect.request, now);
    case "withdraw_request":
      outbox.remove(fleetKey.ask(effect.runId));
      return outbox.put(fleetKey.withdraw(effect.runId), { runId: effect.runId }, now);
    case "release_lease":
      return outbox.put(fleetKey.release, { epoch: effect.epoch }, now);
    case "dead_letter":
      return outbox.put(fleetKey.dead(effect.letter.runId), effect.letter, now);
    case "forget_archive":
      outbox.remove(ARCHIVE_MOVE);
      return outbox.put(ARCHIVE_FORGET, {}, now);
    case "set_deadline":
      return deadlines.set(effect.name, effect.at);
    case "clear_deadline":
      return deadlines.clear(effect.name);
    case "index":
      return outbox.put(indexKey(effect.what), effect.what, effect.atOnce ? now : now + needs.gatherMs);
    default:
      return effect satisfies never;
  }
}

/** Old rows of the log have to go to the store; all of the session's segments have to go from there. */
export const ARCHIVE_MOVE = "archive/move";
export const ARCHIVE_FORGET = "archive/forget";

export const fleetKey = {
  ask: (runId: string) => `fleet/ask/${runId}`,
  withdraw: (runId: string) => `fleet/withdraw/${runId}`,
  release: "fleet/release",
  dead: (runId: string) => `fleet/dead/${runId}`,
} as const;

export function indexKey(what: Indexed): string {
  switch (what.kind) {
    case "session":
      return "index/session";
    case "run":
      return `index/run/${what.id}`;
    case "request":
    case "seen":
    case "answer":
      return `index/${what.kind}/${what.event.data.requestId}`;
    case "branch":
      return `index/branch/${what.event.data.snapshotId}`;
    case "snapshot":
      return `index/snapshot/${what.event.data.snapshotId}`;
    default:
      return what satisfies never;
  }
}
