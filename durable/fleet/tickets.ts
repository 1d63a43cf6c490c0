/** One-time tickets for the first connection of a host (PROTOCOL [P-7]): only their hashes are kept. */
import { createHash, randomBytes } from "node:crypto";
import { TIMES } from "#protocol/limits.ts";
import { reject } from "#protocol/objects.ts";
import type { FleetStore } from "./fleet-store.ts";

export function mintTicket(store: FleetStore, hostId: string, now: number): string {
  const ticket = randomBytes(24).toString("base64url");
  store.addTicket(hash(ticket), hostId, now + TIMES.ticketMs, now);
  return ticket;
}

/** Why a host may not open a control link; undefined when it may. A reconnection has no ticket. */
export function refuseUpgrade(
  store: FleetStore,
  hostId: string,
  ticket: string | null,
  now: number,
): Response | undefined {
  if (!store.host(hostId)) return Response.json(reject("gone", "This host was removed. Join again."), { status: 410 });
  if (ticket === null || store.takeTicket(hash(ticket), hostId, now)) return undefined;
  const why = "The ticket was used, has expired, or is not this host's. Ask for a new connection.";
  return Response.json(reject("ticket_refused", why), { status: 403 });
}

function hash(ticket: string): string {
  return createHash("sha256").update(ticket).digest("base64url");
}
