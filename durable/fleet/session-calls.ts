/** Brings news of leases to the sessions, and asks them for room. Each call is idempotent on the other side. */
import type { LeaseGrant, LeaseLoss, SessionRpc } from "#protocol/objects.ts";
import type { Fleet } from "./fleet.ts";
import { yieldKey } from "./names.ts";

type ToSession = (sessionId: string) => SessionRpc;

/** What one session is told goes in order; sessions do not wait for each other. */
export const laneOfNews = (key: string): string => key.split("/")[1] ?? key;

/** Delivers one entry of the pool's outbox. @throws whatever the call throws; the outbox tries again */
export async function tellSessions(key: string, body: unknown, fleet: Fleet, session: ToSession): Promise<void> {
  if (key === yieldKey) return await askForRoom(fleet, (body as { count: number }).count, session);
  const [news, sessionId = ""] = key.split("/");
  switch (news) {
    case "granted": {
      const grant = body as LeaseGrant;
      // A lease that has ended since must not be taken for one: nobody would ever end it again.
      if (!fleet.holds(sessionId, grant.epoch)) return;
      const answer = await session(sessionId).leaseGranted(grant);
      if (answer.ok) fleet.granted(sessionId, grant.epoch);
      // Its run was cancelled meanwhile: the slot goes to others.
      else fleet.release(sessionId, grant.epoch);
      return;
    }
    case "lost":
      await session(sessionId).leaseLost(body as LeaseLoss);
      return;
    case "away": {
      const loss = { ...(body as LeaseLoss), unlessBegun: true };
      if (!fleet.holds(sessionId, loss.epoch)) return;
      const answer = await session(sessionId).leaseLost(loss);
      if (answer.ok && answer.lost) fleet.release(sessionId, loss.epoch);
      return;
    }
    case "waiting":
      await session(sessionId).leaseWaiting(body as { runId: string; waitingFor: string });
      return;
    case "removed":
      await session(sessionId).filesRemoved(body as { hostId: string; epoch: number });
      return;
    default:
      throw new Error(`unknown news for a session: ${key}`);
  }
}

/** One holder after the other, until enough of them make room. A busy one keeps its worker. */
async function askForRoom(fleet: Fleet, count: number, session: ToSession): Promise<void> {
  let yielding = 0;
  for (const { sessionId, epoch } of fleet.leasesToYield()) {
    if (yielding >= count) return;
    const answer = await session(sessionId).yieldWorker({ epoch });
    if (answer.ok && answer.yielding) yielding++;
  }
}
