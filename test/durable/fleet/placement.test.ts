import { expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import type { LeaseRequest } from "#protocol/objects.ts";
import { leaseEndsAt } from "../../../durable/fleet/host-liveness.ts";
import { type Candidate, place as placeAt, type Waiting } from "../../../durable/fleet/placement.ts";

const NONE: ReadonlySet<string> = new Set();
const NOW = { now: 1_000_000, lastTurns: new Map<string, number>() };

const place = (queue: Waiting[], hosts: Candidate[], leased: ReadonlySet<string>, at = NOW) =>
  placeAt(queue, hosts, leased, at);

function host(
  hostId: string,
  change: Partial<Candidate> & { slots?: number; vmModes?: ("docker" | "process")[]; ready?: boolean } = {},
): Candidate {
  const { slots = 2, vmModes = ["docker"], ready = true, ...rest } = change;
  const readiness = ready
    ? { state: "ready" as const }
    : { state: "environment_not_ready" as const, reason: "no CLI", fix: "install it" };
  const facts = {
    name: hostId,
    version: "1",
    platform: "linux",
    vmModes,
    providers: { scripted: readiness },
    labels: {},
    slots,
  };
  return { hostId, name: hostId, connected: true, draining: false, leases: 0, facts, ...rest };
}

function waiting(runId: string, change: Partial<LeaseRequest> = {}, refusedBy: Waiting["refusedBy"] = []): Waiting {
  const request: LeaseRequest = {
    runId,
    sessionId: `ses_${runId}`,
    provider: "scripted",
    vmMode: "docker",
    lastEpoch: 0,
    requestedBy: "ada",
    traceId: "t",
    ...change,
  };
  return { request, attempts: 0, refusedBy };
}

const chosen = (queue: Waiting[], hosts: Candidate[], leased = NONE) =>
  place(queue, hosts, leased).offers.map((offer) => `${offer.request.runId}→${offer.hostId}`);

test("[F-9] the warm host comes first, then the least loaded, and a tie is stable", () => {
  const hosts = [host("b", { leases: 1 }), host("c"), host("a", { leases: 1 })];
  expect(chosen([waiting("1", { preferHostId: "a" })], hosts)).toEqual(["1→a"]);
  expect(chosen([waiting("1")], hosts)).toEqual(["1→c"]);
  expect(chosen([waiting("1")], [host("b"), host("a")])).toEqual(["1→a"]);
});

test("[F-9] load is relative to the slots, and counts what is placed in the same turn", () => {
  const hosts = [host("big", { slots: 4 }), host("small", { slots: 1 })];
  expect(chosen([waiting("1"), waiting("2"), waiting("3"), waiting("4"), waiting("5"), waiting("6")], hosts)).toEqual([
    "1→big",
    "2→small",
    "3→big",
    "4→big",
    "5→big",
  ]);
});

test.each<[string, Candidate, string, Partial<LeaseRequest>?]>([
  ["offline", host("x", { connected: false }), "No host is connected"],
  ["draining", host("x", { draining: true }), "draining"],
  ["without the isolation", host("x", { vmModes: ["process"] }), 'isolation "docker"'],
  ["without the provider", host("x", { ready: false }), "install it"],
  ["without the labels", host("x"), "lacks gpu=yes", { labels: { gpu: "yes" } }],
  ["without a free slot", host("x", { leases: 2 }), "busy"],
])("[F-8] [F-10] a host %s gets nothing, and the run says what it waits for", (_name, unfit, says, asks = {}) => {
  const placement = place([waiting("1", asks)], [unfit], NONE);
  expect(placement.offers).toEqual([]);
  expect(placement.waits[0]?.waitingFor).toContain(says);
});

test("[F-10] a run that cannot be placed does not hold up those behind it", () => {
  expect(chosen([waiting("1", { vmMode: "firecracker" }), waiting("2")], [host("a")])).toEqual(["2→a"]);
  expect(place([waiting("1")], [], NONE).waits[0]?.waitingFor).toContain("No host has joined");
});

test("[F-11] a host that refused is not asked again, and people read why", () => {
  const refused = waiting("1", {}, [{ hostId: "a", reason: "disk full" }]);
  expect(chosen([refused], [host("a"), host("b")])).toEqual(["1→b"]);
  expect(place([refused], [host("a")], NONE).waits[0]?.waitingFor).toContain("disk full");
});

test("[F-1] a session that has a lease or an offer gets no second one", () => {
  expect(chosen([waiting("1", { sessionId: "s" })], [host("a")], new Set(["s"]))).toEqual([]);
  expect(chosen([waiting("1", { sessionId: "s" }), waiting("2", { sessionId: "s" })], [host("a")])).toEqual(["1→a"]);
});

test("[F-3] [F-4] a lease ends with the host's silence, but not because of ours", () => {
  expect(leaseEndsAt({ lastSeenAt: 1_000, connected: true }, undefined)).toBe(1_000 + TIMES.leaseMs);
  expect(leaseEndsAt({ lastSeenAt: 1_000, connected: false }, 50_000)).toBe(50_000 + 2 * TIMES.leaseMs);
});

test("[F-8] labels: every one that is asked for has to be the host's own", () => {
  const facts = (labels: Record<string, string>) => ({ ...host("x").facts!, labels });
  const hosts = [host("a", { facts: facts({ gpu: "no" }) }), host("b", { facts: facts({ gpu: "yes", zone: "1" }) })];
  expect(chosen([waiting("1", { labels: { gpu: "yes" } })], hosts)).toEqual(["1→b"]);
  expect(chosen([waiting("1", { labels: { gpu: "yes", zone: "2" } })], hosts)).toEqual([]);
});

test("[F-18] an attempt is not made before its time; then the host that failed the last one is the last resort", () => {
  const again = waiting("1", { attempt: 2, notBefore: NOW.now + 1, avoidHostId: "a" });
  const early = place([again, waiting("2")], [host("a")], NONE);
  expect(early.offers).toMatchObject([{ request: { runId: "2" } }]);
  expect(early.waits).toMatchObject([{ runId: "1", why: "retry" }]);
  expect(early.nextAttemptAt).toBe(NOW.now + 1);
  const at = { ...NOW, now: NOW.now + 1 };
  expect(place([again], [host("a"), host("b", { leases: 1 })], NONE, at).offers).toMatchObject([{ hostId: "b" }]);
  expect(place([again], [host("a")], NONE, at).offers).toMatchObject([{ hostId: "a" }]);
});

test("[F-10] a long queue without a free slot is looked over once: what asks for the same waits for the same", () => {
  let looks = 0;
  const hosts = ["a", "b", "c", "d"].map((id) => {
    const { facts, ...rest } = host(id, { leases: 2 });
    return Object.defineProperty({ ...rest } as Candidate, "facts", {
      get: () => {
        looks++;
        return facts;
      },
    });
  });
  const looksAt = (length: number) => {
    looks = 0;
    const queue = Array.from({ length }, (_none, n) => waiting(String(n), n % 2 ? { labels: { gpu: "yes" } } : {}));
    const { offers, waits } = place(queue, hosts, NONE);
    expect(offers).toEqual([]);
    expect(new Set(waits.map(({ why }) => why))).toEqual(new Set(["slots", "labels"]));
    expect(waits).toHaveLength(length);
    return looks;
  };
  expect(looksAt(1_000)).toBe(looksAt(2));
});
