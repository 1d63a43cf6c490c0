/** What a sweep leaves alone because news may be on its way, with the real pool and sessions that say where they stand. */
import { expect, test } from "vitest";
import type { LeaseRequest, SessionRpc } from "#protocol/objects.ts";
import type { SessionStanding } from "#protocol/reconcile.ts";
import { Fleet } from "../../../durable/fleet/fleet.ts";
import { FleetStore } from "../../../durable/fleet/fleet-store.ts";
import { sessionKey } from "../../../durable/fleet/names.ts";
import { reconcilePool } from "../../../durable/fleet/reconcile.ts";
import { Chores } from "../../../durable/shell/chores.ts";
import { Disk } from "../../fuzz/disk.ts";

const MINUTE_MS = 60_000;
const SESSION = "ses_1";
const request: LeaseRequest = {
  sessionId: SESSION,
  runId: "run_1",
  provider: "scripted",
  vmMode: "docker",
  lastEpoch: 0,
  requestedBy: "usr_ada",
  traceId: "t",
};

/** A pool in which nothing waits for its session, which knows of no run and no lease. */
function pool(standing: Partial<SessionStanding> = {}) {
  const clock = { now: 10 * MINUTE_MS };
  const now = () => clock.now;
  const storage = new Disk(() => {}).storage({ alive: true });
  const store = new FleetStore(storage);
  const nowhere = async () => {
    throw new Error("nobody is there");
  };
  const chores = new Chores(storage, { component: "pool", deliver: nowhere, laneOf: (key) => key, deadline: () => {} });
  const fleet = new Fleet({
    store,
    deadlines: chores.deadlines,
    outbox: chores.outbox,
    now,
    isConnected: () => false,
    lastPingAt: () => undefined,
    hangUp: () => {},
    sendToHost: () => {},
    renewToken: () => {},
    linkUrls: () => ({ dataUrl: "", storeUrl: "" }),
  });
  const revoked: string[] = [];
  const knows: SessionStanding = { exists: true, epoch: 0, ...standing } as SessionStanding;
  const session = () => ({ reconcile: async () => ({ standing: knows, reports: [] }) }) as unknown as SessionRpc;
  const sweep = async () => {
    const { reports } = await reconcilePool(
      { store, fleet, chores, session, revoked: (lease) => void revoked.push(lease.hostId), now },
      { which: ["leases", "queue"], limit: 10 },
    );
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    return reports.flatMap(({ findings }) => findings.map(({ what }) => what));
  };
  return { clock, store, chores, revoked, sweep };
}

test("[F-16] an entry that nobody waits for leaves the queue when it is a minute old, not before", async () => {
  const { clock, store, sweep } = pool();
  store.queue.add(request, clock.now);
  clock.now += MINUTE_MS - 1;
  expect(await sweep()).toEqual([]);
  expect(store.queue.list()).toHaveLength(1);
  clock.now += 1;
  expect(await sweep()).toEqual(["entry_nobody_waits_for"]);
  expect(store.queue.list()).toEqual([]);
  expect(await sweep()).toEqual([]);
});

test("[F-16] an entry of whatever age stays when its session waits for it, and when it was asked for again under a newer epoch", async () => {
  const waits = pool({ waitingRunId: "run_1" });
  waits.store.queue.add(request, waits.clock.now);
  waits.clock.now += 100 * MINUTE_MS;
  expect(await waits.sweep()).toEqual([]);
  const renewed = pool({ epoch: 1 });
  renewed.store.queue.add({ ...request, lastEpoch: 2 }, renewed.clock.now);
  renewed.clock.now += 100 * MINUTE_MS;
  expect(await renewed.sweep()).toEqual([]);
});

test("[F-16] a lease that its session does not know is told again while the session waits, stays while that is owed, and ends when it is not wanted", async () => {
  const lease = { sessionId: SESSION, hostId: "hst_1", epoch: 3, runId: "run_1", state: "held" as const, since: 0 };
  const wants = pool({ waitingRunId: "run_1" });
  wants.store.offer({ ...lease, state: "offered" });
  wants.store.hold(SESSION, 0);
  expect(await wants.sweep()).toEqual(["grant_not_heard"]);
  expect(wants.chores.outbox.owes(sessionKey.granted(SESSION))).toBe(true);
  expect(await wants.sweep()).toEqual([]);
  expect(wants.revoked).toEqual([]);
  const idle = pool();
  idle.store.offer({ ...lease, state: "offered" });
  idle.store.hold(SESSION, 0);
  expect(await idle.sweep()).toEqual(["lease_unknown_to_session"]);
  expect(idle.revoked).toEqual(["hst_1"]);
  expect(idle.store.leases()).toEqual([]);
});
