/**
 * Which host gets which session's worker. Pure: hosts, leases and the queue in, offers and stated reasons out.
 * The queue is served first come first served; one that nobody can serve does not hold up those behind it.
 */
import type { HostFacts } from "#protocol/messages.ts";
import type { LeaseRequest } from "#protocol/objects.ts";

export type Candidate = {
  hostId: string;
  name: string;
  connected: boolean;
  draining: boolean;
  facts?: HostFacts;
  leases: number;
};
export type Waiting = {
  request: LeaseRequest;
  attempts: number;
  refusedBy: { hostId: string; reason: string }[];
  waitingFor?: string;
};

export type Placement = {
  offers: { request: LeaseRequest; hostId: string }[];
  /** `full`: a fitting host is there, it only lacks a free slot. */
  waits: { runId: string; sessionId: string; waitingFor: string; full: boolean }[];
};

export function place(
  queue: readonly Waiting[],
  hosts: readonly Candidate[],
  leasedSessions: ReadonlySet<string>,
): Placement {
  const used = new Map(hosts.map((host) => [host.hostId, host.leases]));
  const taken = new Set(leasedSessions);
  const placement: Placement = { offers: [], waits: [] };
  for (const waiting of queue) {
    const { request } = waiting;
    // A session has one worker: while one is offered or held, its next request waits for the outcome.
    if (taken.has(request.sessionId)) continue;
    const fitting = hosts.filter((host) => unfit(host, waiting, used.get(host.hostId) ?? 0) === undefined);
    const chosen = choose(fitting, request, used);
    if (!chosen) {
      placement.waits.push({
        runId: request.runId,
        sessionId: request.sessionId,
        waitingFor: explain(hosts, waiting, used),
        full: hosts.some((host) => unfit(host, waiting, used.get(host.hostId) ?? 0) === "slots"),
      });
      continue;
    }
    placement.offers.push({ request, hostId: chosen.hostId });
    taken.add(request.sessionId);
    used.set(chosen.hostId, (used.get(chosen.hostId) ?? 0) + 1);
  }
  return placement;
}

/** The host with the warm workspace, else the least loaded one; the id settles a tie, so that the choice is stable. */
function choose(
  fitting: readonly Candidate[],
  request: LeaseRequest,
  used: ReadonlyMap<string, number>,
): Candidate | undefined {
  const warm = fitting.find((host) => host.hostId === request.preferHostId);
  if (warm) return warm;
  const load = (host: Candidate) => (used.get(host.hostId) ?? 0) / Math.max(1, host.facts?.slots ?? 1);
  return [...fitting].sort((a, b) => load(a) - load(b) || (a.hostId < b.hostId ? -1 : 1))[0];
}

type Unfit = "offline" | "draining" | "vm_mode" | "provider" | "slots" | "refused";

function unfit(host: Candidate, waiting: Waiting, used: number): Unfit | undefined {
  const { request } = waiting;
  if (!host.connected || !host.facts) return "offline";
  if (host.draining) return "draining";
  if (!host.facts.vmModes.includes(request.vmMode)) return "vm_mode";
  if (host.facts.providers[request.provider]?.state !== "ready") return "provider";
  if (waiting.refusedBy.some((refusal) => refusal.hostId === host.hostId)) return "refused";
  if (used >= host.facts.slots) return "slots";
  return undefined;
}

/** The sentence a person reads while the run waits: the obstacle that is nearest to being solved. */
function explain(hosts: readonly Candidate[], waiting: Waiting, used: ReadonlyMap<string, number>): string {
  const { request } = waiting;
  if (hosts.length === 0) return "No host has joined this pool yet. Add one on the Hosts page.";
  const why = new Map(hosts.map((host) => [unfit(host, waiting, used.get(host.hostId) ?? 0), host]));
  if (why.has("slots")) return "All fitting hosts are busy; the run starts when a slot is free.";
  const refusal = waiting.refusedBy.at(-1);
  if (why.has("refused") && refusal) return `Host ${nameOf(hosts, refusal.hostId)} refused the run: ${refusal.reason}`;
  const unready = why.get("provider");
  if (unready) {
    const { reason, fix } = unready.facts?.providers[request.provider] ?? {};
    const cause = reason ?? `${request.provider} is not set up there`;
    return `Host ${unready.name} cannot run ${request.provider}: ${cause}${fix ? `. To fix it: ${fix}` : ""}`;
  }
  const modeless = why.get("vm_mode");
  if (modeless)
    return `No connected host offers the isolation "${request.vmMode}"; ${modeless.name} has ${modeless.facts?.vmModes.join(", ") || "none"}.`;
  if (why.has("draining")) return "All fitting hosts are draining and take no new work.";
  return "No host is connected. Start one with `gantry host run`.";
}

const nameOf = (hosts: readonly Candidate[], hostId: string): string =>
  hosts.find((host) => host.hostId === hostId)?.name ?? hostId;
