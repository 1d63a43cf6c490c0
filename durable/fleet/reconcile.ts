/**
 * A pool looks at its leases and its queue, in batches of sessions. Each session is asked to mend itself first, and
 * says where it stands; what the pool has beyond that serves nobody.
 */

import type { SessionRpc } from "#protocol/objects.ts";
import {
  eachAlone,
  type Finding,
  mergeReports,
  type PoolReconcile,
  type PoolReconciled,
  type PoolStanding,
  type ReconcilerReport,
  type SessionStanding,
} from "#protocol/reconcile.ts";
import type { Chores } from "../shell/chores.ts";
import type { Fleet } from "./fleet.ts";
import type { FleetStore, LeaseRow } from "./fleet-store.ts";
import { deadlineName, sessionKey } from "./names.ts";
import type { Waiting } from "./placement.ts";

export type PoolCareNeeds = {
  store: FleetStore;
  fleet: Fleet;
  chores: Chores;
  session(sessionId: string): SessionRpc;
  /** Tells a host, connected or not, that a lease is gone. */
  revoked(lease: LeaseRow, reason: string): void;
  now(): number;
};

/** What is younger may be news that is still on its way. */
const SETTLED_MS = 60_000;
/** Sessions that are asked at once. */
const AT_ONCE = 8;

export function poolStanding({ store }: Pick<PoolCareNeeds, "store">, sessionId: string): PoolStanding {
  const lease = store.lease(sessionId);
  return {
    queuedRunId: store.queue.list().find(({ request }) => request.sessionId === sessionId)?.request.runId,
    ...(lease ? { lease: { hostId: lease.hostId, epoch: lease.epoch } } : {}),
  };
}

export async function reconcilePool(
  needs: PoolCareNeeds,
  { which, after = "", limit }: PoolReconcile,
): Promise<PoolReconciled> {
  const { store, chores } = needs;
  const known = [
    ...store.leases().map((lease) => lease.sessionId),
    ...store.queue.list().map((each) => each.request.sessionId),
  ];
  const rest = [...new Set(known)].filter((sessionId) => sessionId > after).sort();
  const batch = rest.slice(0, limit);
  const { standings, reports } = await askSessions(needs, batch, which);
  const own = await eachAlone(which, {
    leases: (report) => {
      for (const sessionId of batch) checkLease(needs, sessionId, standings.get(sessionId), report);
    },
    queue: (report) => {
      for (const entry of store.queue.list()) {
        const { sessionId } = entry.request;
        if (batch.includes(sessionId)) checkEntry(needs, entry, standings.get(sessionId), report);
      }
    },
    deadlines: (report) => checkDeadlines(needs, report),
  });
  await chores.settle();
  const more = rest.length > batch.length;
  return { reports: mergeReports([...reports, ...own]), ...(more ? { next: batch.at(-1) } : {}) };
}

/** One that does not answer is left alone, and said so: nothing is known of it. */
async function askSessions(needs: PoolCareNeeds, batch: readonly string[], which: PoolReconcile["which"]) {
  const standings = new Map<string, SessionStanding & { heardAt: number }>();
  const reports: ReconcilerReport[] = [];
  for (let i = 0; i < batch.length; i += AT_ONCE) {
    await Promise.all(
      batch.slice(i, i + AT_ONCE).map(async (sessionId) => {
        const heardAt = needs.now();
        const answers = await eachAlone(["runs"], {
          runs: async () => {
            const answer = await needs.session(sessionId).reconcile({ which });
            standings.set(sessionId, { ...answer.standing, heardAt });
            reports.push(...answer.reports);
          },
        });
        reports.push(...answers.filter((answer) => answer.failures.length > 0));
      }),
    );
  }
  return { standings, reports };
}

function checkLease(
  needs: PoolCareNeeds,
  sessionId: string,
  standing: (SessionStanding & { heardAt: number }) | undefined,
  report: ReconcilerReport,
): void {
  const { store, fleet, chores, now } = needs;
  const lease = store.lease(sessionId);
  if (!lease || !standing) return;
  report.looked++;
  // Given out or taken after the session was asked: what it said is old.
  if (lease.since > standing.heardAt) return;
  const { hostId, epoch } = lease;
  const found = (what: string) =>
    report.findings.push(finding("leases", what, { sessionId, hostId, runId: lease.runId }));
  if (lease.state === "offered") {
    if (chores.deadlines.at(deadlineName.offer(sessionId)) !== undefined) return;
    fleet.deadline(deadlineName.offer(sessionId));
    found("offer_without_deadline");
    return;
  }
  if (standing.leaseHostId === hostId && standing.epoch === epoch) return;
  if (chores.outbox.owes(sessionKey.granted(sessionId))) return;
  if (standing.exists && standing.epoch < epoch && standing.waitingRunId !== undefined) {
    // It has not heard of its grant, and still wants one.
    chores.outbox.put(sessionKey.granted(sessionId), { hostId, epoch }, now());
    found("grant_not_heard");
    return;
  }
  fleet.release(sessionId, epoch);
  needs.revoked(lease, "its session does not know of it");
  found("lease_unknown_to_session");
}

function checkEntry(
  { fleet }: PoolCareNeeds,
  entry: Waiting & { enqueuedAt: number },
  standing: (SessionStanding & { heardAt: number }) | undefined,
  report: ReconcilerReport,
): void {
  if (!standing) return;
  report.looked++;
  const { runId, sessionId } = entry.request;
  if (runId === standing.waitingRunId || !isSettled(entry, standing)) return;
  fleet.withdraw(sessionId, runId);
  report.findings.push(finding("queue", "entry_nobody_waits_for", { sessionId, runId }));
}

/** Old enough, and asked for before the session was; one that was asked for again since is new, whatever its age. */
function isSettled(
  { enqueuedAt, request }: Waiting & { enqueuedAt: number },
  { heardAt, epoch }: { heardAt: number; epoch: number },
): boolean {
  return enqueuedAt <= heardAt - SETTLED_MS && request.lastEpoch <= epoch;
}

async function checkDeadlines(needs: PoolCareNeeds, report: ReconcilerReport): Promise<void> {
  const { store, chores, now } = needs;
  for (const hostId of new Set(store.leases().map((lease) => lease.hostId))) {
    report.looked++;
    if (chores.deadlines.at(deadlineName.host(hostId)) !== undefined) continue;
    // Nobody would ever notice that it is gone.
    chores.deadlines.set(deadlineName.host(hostId), now());
    report.findings.push(finding("deadlines", "host_unwatched", { hostId }));
  }
  report.looked++;
  const lost = await chores.rearm(now());
  if (lost) report.findings.push(finding("deadlines", lost, {}));
}

function finding(
  reconciler: Finding["reconciler"],
  what: string,
  more: Partial<Pick<Finding, "sessionId" | "hostId" | "runId">>,
): Finding {
  return { reconciler, what, mended: true, ...more };
}
