import type { HostRecord } from "#protocol/http.ts";
import type { Provider } from "#protocol/vocabulary.ts";

export type Standing = { ready: true; hosts: number } | { ready: false; reason: string; fix?: string | undefined };

/** Whether a host that is online is ready for this agent, and if not, why and what to do. */
export function standingOf(provider: Provider, hosts: readonly HostRecord[]): Standing {
  const online = hosts.filter((host) => host.status === "online");
  const facts = online.flatMap((host) => host.facts?.providers[provider] ?? []);
  const ready = facts.filter((fact) => fact.state === "ready").length;
  if (ready > 0) return { ready: true, hosts: ready };
  const [fact] = facts;
  if (fact) return { ready: false, reason: fact.reason ?? "Not ready on any host.", fix: fact.fix };
  return { ready: false, reason: online.length > 0 ? "No host offers it." : "No host is online." };
}
