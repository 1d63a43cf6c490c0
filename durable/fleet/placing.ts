/** Carries out a placement: offers go to hosts with a deadline, and whoever waits on is told why. */
import { TIMES } from "#protocol/limits.ts";
import type { FleetNeeds } from "./fleet-needs.ts";
import { deadlineName, sessionKey, yieldKey } from "./names.ts";
import { type Placement, place } from "./placement.ts";

/** How often idle workers are asked again while runs wait only for a slot. */
const ASK_FOR_ROOM_AGAIN_MS = 3_000;

/** Offers everything that can be placed now. Answers how many were placed and how many still wait. */
export function placeWaiting(needs: FleetNeeds): { claimed: number; waiting: number } {
  const { store, deadlines, outbox, now } = needs;
  const queue = store.queue.list();
  if (queue.length === 0) return { claimed: 0, waiting: 0 };
  const said = new Map(queue.map(({ request, waitingFor }) => [request.runId, waitingFor]));
  const { offers, waits, nextAttemptAt } = decide(needs);
  for (const { request, hostId } of offers) {
    const { sessionId, runId, vmMode, traceId } = request;
    const epoch = store.nextEpoch(sessionId, request.lastEpoch);
    store.offer({ sessionId, hostId, epoch, runId, state: "offered", since: now() });
    store.queue.tookTurn(request.requestedBy);
    deadlines.set(deadlineName.offer(sessionId), now() + TIMES.acceptDeadlineMs);
    const assignment = { sessionId, epoch, vmMode, ...needs.linkUrls(sessionId), traceId };
    needs.sendToHost(hostId, { type: "assign", assignment });
  }
  for (const { runId, sessionId, waitingFor, why } of waits) {
    if (said.get(runId) === waitingFor) continue;
    store.queue.waiting(runId, waitingFor, why);
    // Its session has set that time, and has said so.
    if (why === "retry") continue;
    outbox.put(sessionKey.waiting(sessionId), { runId, waitingFor }, now());
  }
  if (nextAttemptAt !== undefined) deadlines.set(deadlineName.retry, nextAttemptAt, "if-sooner");
  if (waits.some((wait) => wait.full)) deadlines.set(deadlineName.contention, now(), "if-sooner");
  return { claimed: offers.length, waiting: queue.length - offers.length };
}

/** Runs wait only for a slot: idle workers are asked to make room. */
export function askForRoom(needs: FleetNeeds): void {
  const { deadlines, outbox, now } = needs;
  const count = decide(needs).waits.filter((wait) => wait.full).length;
  if (count === 0) return;
  outbox.put(yieldKey, { count }, now());
  // Whoever is busy now may be idle then.
  deadlines.set(deadlineName.contention, now() + ASK_FOR_ROOM_AGAIN_MS);
}

function decide({ store, isConnected, now }: FleetNeeds): Placement {
  const leased = new Set(store.leases().map((lease) => lease.sessionId));
  const time = { now: now(), lastTurns: store.queue.lastTurns() };
  return place(store.queue.list(), store.candidates(isConnected), leased, time);
}
