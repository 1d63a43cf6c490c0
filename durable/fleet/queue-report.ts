/** What operators, and whoever waits, see of a pool's queue. */
import type { FleetQueue, FleetQueueEntry } from "#protocol/objects.ts";
import type { FleetStore } from "./fleet-store.ts";
import { inTurn } from "./turns.ts";

/** What waits, in the order in which it would be served if everything could be. An entry under offer waits, too. */
export function queueEntries({ queue }: FleetStore): FleetQueueEntry[] {
  const entries: FleetQueueEntry[] = [];
  inTurn(queue.list(), queue.lastTurns(), ({ request, attempts, enqueuedAt, waitingFor, why }) => {
    const { runId, sessionId, provider, requestedBy, priority = 0, notBefore } = request;
    const position = entries.length + 1;
    const entry = {
      runId,
      sessionId,
      provider,
      requestedBy,
      priority,
      position,
      attempts,
      enqueuedAt,
      waitingFor,
      why,
    };
    return entries.push(why === "retry" ? { ...entry, nextAttemptAt: notBefore } : entry) > 0;
  });
  return entries;
}

export function queueReport(store: FleetStore, now: number): FleetQueue {
  return { now, entries: queueEntries(store), leases: store.leases(), deadLetters: store.deadLetters.list() };
}
