/** What people see of the hosts of a pool. */
import type { HostRecord } from "#protocol/http.ts";
import type { HostStatus } from "#protocol/vocabulary.ts";
import type { FleetStore, HostRow } from "./fleet-store.ts";

/** The sockets are the truth of who is connected; the rows know the rest. */
type Sockets = { isConnected(hostId: string): boolean; lastPingAt(hostId: string): number | undefined };

export function hostRecords(store: FleetStore, sockets: Sockets): HostRecord[] {
  return store.hosts().map((host) => {
    const connected = sockets.isConnected(host.hostId);
    return {
      id: host.hostId,
      name: host.name,
      pool: store.pool,
      status: statusOf(host, connected),
      lastSeenAt: (connected ? sockets.lastPingAt(host.hostId) : undefined) ?? (host.lastSeenAt || undefined),
      createdAt: host.createdAt,
      facts: host.facts,
      leases: store.leases(host.hostId).length,
    };
  });
}

function statusOf(host: HostRow, connected: boolean): HostStatus {
  if (connected) return host.draining ? "draining" : "online";
  return host.lastSeenAt === 0 ? "pending" : "offline";
}
