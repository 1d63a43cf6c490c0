/**
 * Which host gets which session's worker. Pure: hosts, leases and the queue in, offers and stated reasons out.
 * The queue is served in turns (turns.ts); one that nobody can serve does not hold up those behind it.
 */
import type { HostFacts } from "#protocol/messages.ts";
import type { LeaseRequest } from "#protocol/objects.ts";
import type { WaitReason } from "#protocol/vocabulary.ts";
import { inTurn } from "./turns.ts";

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
  why?: WaitReason;
};
/** `lastTurns`: when each person was last served, as a number that grows. */
export type PlacementTime = { now: number; lastTurns: ReadonlyMap<string, number> };

export type Placement = {
  /** In the order of their turns. */
  offers: { request: LeaseRequest; hostId: string }[];
  /** `full`: a fitting host is there, it only lacks a free slot. */
  waits: Wait[];
  /** When the first of the attempts that wait for their time is due. */
  nextAttemptAt?: number;
};
type Wait = { runId: string; sessionId: string; waitingFor: string; why: WaitReason; full: boolean };

export function place(
  queue: readonly Waiting[],
  hosts: readonly Candidate[],
  leasedSessions: ReadonlySet<string>,
  { now, lastTurns }: PlacementTime,
): Placement {
  const used = new Map(hosts.map((host) => [host.hostId, host.leases]));
  const taken = new Set(leasedSessions);
  const placement: Placement = { offers: [], waits: [] };
  // Slots only fill up while this goes on: what has found no host stands for all that ask for the same.
  const inVain = new Map<string, Explained>();
  inTurn(queue, lastTurns, (waiting) => {
    const { request } = waiting;
    const { runId, sessionId, notBefore = 0 } = request;
    // A session has one worker: while one is offered or held, its next request waits for the outcome.
    if (taken.has(sessionId)) return false;
    if (notBefore > now) {
      const waitingFor = `Attempt ${request.attempt ?? 2} is made at ${new Date(notBefore).toISOString()}.`;
      placement.waits.push({ runId, sessionId, waitingFor, why: "retry", full: false });
      placement.nextAttemptAt = Math.min(notBefore, placement.nextAttemptAt ?? notBefore);
      return false;
    }
    const asksFor = wanted(waiting);
    let explained = inVain.get(asksFor);
    const chosen = explained ? undefined : choose(fitting(hosts, waiting, used), request, used);
    if (!chosen) {
      explained ??= explain(hosts, waiting, used);
      inVain.set(asksFor, explained);
      const { why, waitingFor } = explained;
      placement.waits.push({ runId, sessionId, waitingFor, why, full: why === "slots" });
      return false;
    }
    placement.offers.push({ request, hostId: chosen.hostId });
    taken.add(sessionId);
    used.set(chosen.hostId, (used.get(chosen.hostId) ?? 0) + 1);
    return true;
  });
  return placement;
}

/** What decides whether a host fits, as one text. */
function wanted({ request: { provider, vmMode, labels }, refusedBy }: Waiting): string {
  return `${provider} ${vmMode} ${labels ? JSON.stringify(labels) : ""} ${refusedBy.length > 0 ? JSON.stringify(refusedBy) : ""}`;
}

function fitting(hosts: readonly Candidate[], waiting: Waiting, used: ReadonlyMap<string, number>): Candidate[] {
  return hosts.filter((host) => unfit(host, waiting, used.get(host.hostId) ?? 0) === undefined);
}

/**
 * The host with the warm workspace, else the least loaded one; the id settles a tie, so that the choice is stable. The one
 * that failed the attempt before comes last.
 */
function choose(
  fit: readonly Candidate[],
  request: LeaseRequest,
  used: ReadonlyMap<string, number>,
): Candidate | undefined {
  const warm = fit.find((host) => host.hostId === request.preferHostId);
  if (warm) return warm;
  const load = (host: Candidate) => (used.get(host.hostId) ?? 0) / Math.max(1, host.facts?.slots ?? 1);
  const avoided = (host: Candidate) => (host.hostId === request.avoidHostId ? 1 : 0);
  return [...fit].sort((a, b) => avoided(a) - avoided(b) || load(a) - load(b) || (a.hostId < b.hostId ? -1 : 1))[0];
}

type Unfit = Exclude<WaitReason, "retry" | "no_host">;

function unfit(host: Candidate, waiting: Waiting, used: number): Unfit | undefined {
  const { request } = waiting;
  if (!host.connected || !host.facts) return "offline";
  if (host.draining) return "draining";
  if (!host.facts.vmModes.includes(request.vmMode)) return "vm_mode";
  if (host.facts.providers[request.provider]?.state !== "ready") return "provider";
  if (missingLabels(host, request).length > 0) return "labels";
  if (waiting.refusedBy.some((refusal) => refusal.hostId === host.hostId)) return "refused";
  if (used >= host.facts.slots) return "slots";
  return undefined;
}

/** What a run asks for and the host has not, as key=value. */
function missingLabels(host: Candidate, { labels = {} }: LeaseRequest): string[] {
  return Object.entries(labels).flatMap(([name, value]) =>
    host.facts?.labels[name] === value ? [] : [`${name}=${value}`],
  );
}

type Explained = { why: WaitReason; waitingFor: string };

/** The sentence a person reads while the run waits: the obstacle that is nearest to being solved. */
function explain(hosts: readonly Candidate[], waiting: Waiting, used: ReadonlyMap<string, number>): Explained {
  if (hosts.length === 0)
    return { why: "no_host", waitingFor: "No host has joined this pool yet. Add one on the Hosts page." };
  const unfitHosts = new Map(hosts.map((host) => [unfit(host, waiting, used.get(host.hostId) ?? 0), host]));
  const why = NEAREST_FIRST.find((reason) => unfitHosts.has(reason)) ?? "offline";
  return { why, waitingFor: SENTENCES[why]({ hosts, waiting, host: unfitHosts.get(why) }) };
}

const NEAREST_FIRST = ["slots", "refused", "labels", "provider", "vm_mode", "draining", "offline"] as const;

type Obstacle = { hosts: readonly Candidate[]; waiting: Waiting; host: Candidate | undefined };

const SENTENCES: Record<Unfit, (obstacle: Obstacle) => string> = {
  slots: () => "All fitting hosts are busy; the run starts when a slot is free.",
  refused: ({ hosts, waiting }) => {
    const { hostId = "", reason = "" } = waiting.refusedBy.at(-1) ?? {};
    return `Host ${nameOf(hosts, hostId)} refused the run: ${reason}`;
  },
  labels: ({ host, waiting }) => {
    const missing = host ? missingLabels(host, waiting.request) : [];
    return `No connected host has all the labels the run asks for; ${host?.name} lacks ${missing.join(", ")}. A host gets labels when it joins: \`gantry host join … --label key=value\`.`;
  },
  provider: ({ host, waiting: { request } }) => {
    const { reason, fix } = host?.facts?.providers[request.provider] ?? {};
    const cause = reason ?? `${request.provider} is not set up there`;
    return `Host ${host?.name} cannot run ${request.provider}: ${cause}${fix ? `. To fix it: ${fix}` : ""}`;
  },
  vm_mode: ({ host, waiting: { request } }) =>
    `No connected host offers the isolation "${request.vmMode}"; ${host?.name} has ${host?.facts?.vmModes.join(", ") || "none"}.`,
  draining: () => "All fitting hosts are draining and take no new work.",
  offline: () => "No host is connected. Start one with `gantry host run`.",
};

const nameOf = (hosts: readonly Candidate[], hostId: string): string =>
  hosts.find((host) => host.hostId === hostId)?.name ?? hostId;
