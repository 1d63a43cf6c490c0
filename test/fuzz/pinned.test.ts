/** What the simulation, or the writing of it, has found: each as small as it gets. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import type { ToHostControl } from "#protocol/messages.ts";
import type { LeaseRequest, SessionRpc } from "#protocol/objects.ts";
import { Fleet } from "../../durable/fleet/fleet.ts";
import { FleetStore } from "../../durable/fleet/fleet-store.ts";
import { tellSessions } from "../../durable/fleet/session-calls.ts";
import { deadlineName } from "../../durable/session/commands.ts";
import { Deadlines } from "../../durable/shell/deadlines.ts";
import { type HostInboxNeeds, type HostSocketPhase, onHostFrame } from "../../durable/shell/host-handshake.ts";
import { LinkStore } from "../../durable/shell/link-store.ts";
import { Outbox } from "../../durable/shell/outbox.ts";
import { HOST_ID, SESSION_ID, SessionScript } from "../support/session-script.ts";
import { Disk } from "./disk.ts";

const storage = () => new Disk(() => {}).storage({ alive: true });

beforeAll(() => {
  if (!("READY_STATE_OPEN" in WebSocket))
    Object.defineProperty(WebSocket, "READY_STATE_OPEN", { value: 1, configurable: true });
});
afterAll(() => void Reflect.deleteProperty(WebSocket, "READY_STATE_OPEN"));

test("[S-19] a run that is queued again after its host was lost has a deadline again", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
  expect(script.run(runId)).toMatchObject({ state: "queued", attempt: 2 });
  expect(script.deadlines.get(deadlineName.queue(runId))).toBe(script.now + TIMES.queueDeadlineMs);
});

test("[S-13] a loss that overtakes its own grant: the grant is refused when it comes, and a host is asked for again", () => {
  const { script, runId } = SessionScript.withRun("queued");
  script.effects = [];
  script.do({ type: "lease_lost", epoch: 1, reason: "silent" });
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, lastEpoch: 1 } }]);
  expect(script.try({ type: "lease_granted", hostId: HOST_ID, epoch: 1 })).toMatchObject({ reason: "stale_epoch" });
  expect(script.run(runId).state).toBe("queued");
});

test("[P-12] [F-6] a host that lost its disk gets what waits for it under the numbers that it can take", () => {
  const link = new LinkStore(storage());
  for (const message of ["one", "two", "three", "four"]) link.enqueue("peer", message);
  link.acknowledged("peer", 3);
  expect(link.resumed("peer", 0)).toBe(true);
  expect(link.unacknowledged("peer").map((frame) => JSON.parse(frame))).toMatchObject([{ n: 1, message: "four" }]);
  expect(JSON.parse(link.enqueue("peer", "five"))).toMatchObject({ n: 2 });
  expect(link.resumed("peer", 3)).toBe(false);
});

function pool() {
  const disk = storage();
  const store = new FleetStore(disk);
  const outbox = new Outbox(disk);
  const deadlines = new Deadlines(disk);
  const sent: ToHostControl[] = [];
  const hungUp: string[] = [];
  const clock = { now: 1_000_000 };
  store.identify("org", "default");
  store.register(HOST_ID, "host", clock.now);
  const fleet = new Fleet({
    store,
    deadlines,
    outbox,
    now: () => clock.now,
    isConnected: () => hungUp.length === 0,
    lastPingAt: () => 1_000_000,
    hangUp: (hostId) => void hungUp.push(hostId),
    sendToHost: (_hostId, message) => void sent.push(message),
    renewToken: () => {},
    linkUrls: () => ({ dataUrl: "", storeUrl: "" }),
  });
  fleet.connected(HOST_ID);
  fleet.fromHost(HOST_ID, {
    type: "facts",
    facts: {
      name: "host",
      version: "1",
      platform: "test",
      vmModes: ["docker"],
      providers: { scripted: { state: "ready" } },
      labels: {},
      slots: 2,
    },
    leases: [],
  });
  return { fleet, store, outbox, sent, hungUp, clock };
}

const request = (runId: string, lastEpoch: number): LeaseRequest => ({
  sessionId: SESSION_ID,
  runId,
  provider: "scripted",
  vmMode: "docker",
  lastEpoch,
  requestedBy: "usr",
  traceId: "trc",
});

test("[F-3] [F-8] a socket whose host has fallen silent is hung up: it is offered nothing, and the host is looked at again", () => {
  const { fleet, hungUp, sent, clock } = pool();
  fleet.request(request("run-1", 0));
  fleet.confirm(HOST_ID, SESSION_ID, 1);
  clock.now += TIMES.leaseMs;
  fleet.deadline(`host:${HOST_ID}`);
  expect(hungUp).toEqual([HOST_ID]);
  fleet.request(request("run-1", 1));
  expect(sent.filter(({ type }) => type === "assign")).toHaveLength(1);
});

test("[F-3] a host that comes back keeps its leases, whatever its pool had planned for the silence before", () => {
  const { fleet, store, clock } = pool();
  fleet.request(request("run-1", 0));
  fleet.confirm(HOST_ID, SESSION_ID, 1);
  // Its line is cut, and the new one is there before the time of the old one is over; no ping has come on it yet.
  clock.now += TIMES.leaseMs - 1;
  fleet.connected(HOST_ID);
  clock.now += 1;
  fleet.deadline(`host:${HOST_ID}`);
  expect(store.lease(SESSION_ID)).toMatchObject({ epoch: 1, state: "held" });
  clock.now += TIMES.leaseMs;
  fleet.deadline(`host:${HOST_ID}`);
  expect(store.lease(SESSION_ID)).toBeUndefined();
});

test("[F-7] [F-12] who asks while its refusal of a grant is on its way is placed anew", async () => {
  const { fleet, store, sent } = pool();
  fleet.request(request("run-1", 0));
  fleet.confirm(HOST_ID, SESSION_ID, 1);
  const session = {
    // Its run was cancelled; before the pool hears of that, the next one asks.
    leaseGranted: async () => {
      fleet.request(request("run-2", 0));
      return { ok: false, reason: "not_needed", message: "" };
    },
  } as unknown as SessionRpc;
  await tellSessions(`granted/${SESSION_ID}`, { hostId: HOST_ID, epoch: 1 }, fleet, () => session);
  expect(sent.at(-1)).toMatchObject({ type: "assign", assignment: { epoch: 2 } });
  expect(store.lease(SESSION_ID)).toMatchObject({ epoch: 2, state: "offered", runId: "run-2" });
});

test("[F-5] a grant that has ended on its way is not told any more", async () => {
  const { fleet } = pool();
  fleet.request(request("run-1", 0));
  fleet.confirm(HOST_ID, SESSION_ID, 1);
  fleet.release(SESSION_ID, 1);
  const told: unknown[] = [];
  const session = { leaseGranted: async (grant: unknown) => ({ ok: true, told: told.push(grant) }) };
  await tellSessions(`granted/${SESSION_ID}`, { hostId: HOST_ID, epoch: 1 }, fleet, () => session as never);
  expect(told).toEqual([]);
});

class FakeSocket {
  readyState = 1;
  readonly sent: string[] = [];
  closed: number | undefined;
  #attachment: unknown;

  constructor(attachment: HostSocketPhase) {
    this.#attachment = attachment;
  }
  send(text: string): void {
    if (this.readyState !== 1) throw new TypeError("Can't call WebSocket send() after close().");
    this.sent.push(text);
  }
  close(code: number): void {
    this.closed = code;
    this.readyState = 2;
  }
  serializeAttachment(value: unknown): void {
    this.#attachment = value;
  }
  deserializeAttachment(): unknown {
    return this.#attachment;
  }
}

const auth = JSON.stringify({ type: "auth", token: "t", protocol: 1 });
const admitted = { ok: true, peer: "host", hostId: HOST_ID, epoch: 1 } as const;
const needs = (others: FakeSocket[], admit: HostInboxNeeds["admit"]): HostInboxNeeds => ({
  link: new LinkStore(storage()),
  admit,
  take: () => "not-stored",
  live: () => {},
  now: () => 0,
  others: () => others as unknown as WebSocket[],
});

test("[P-9] an auth that comes late does not take over from a connection that was made after it", async () => {
  const newer = new FakeSocket({ kind: "host", phase: "live", since: 2_000, peer: "host", hostId: HOST_ID, epoch: 1 });
  const state: HostSocketPhase = { kind: "host", phase: "new", since: 1_000 };
  const late = new FakeSocket(state);
  const handled = onHostFrame(
    late as unknown as WebSocket,
    auth,
    state,
    needs([newer], async () => admitted),
  );
  await expect(handled).rejects.toMatchObject({ close: "replaced" });
  expect(newer.closed).toBeUndefined();
});

test("[P-11] a host that leaves while the pool is asked about it is no error of ours", async () => {
  const state: HostSocketPhase = { kind: "host", phase: "new", since: 1_000 };
  const socket = new FakeSocket(state);
  const admit = async () => {
    socket.readyState = 3;
    return admitted;
  };
  await onHostFrame(socket as unknown as WebSocket, auth, state, needs([], admit));
  expect(socket.sent).toEqual([]);
});
