/** Hosts on their control sockets: who may come in, and what becomes of a message. */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { TIMES } from "#protocol/limits.ts";
import { AUTH_HEADER, AUTH_TAKEN, fromHostControl } from "#protocol/messages.ts";
import { type Admission, comeIn, type HostInboxNeeds, introduced } from "../shell/host-handshake.ts";
import { mintHostToken, verifyHostToken } from "../shell/host-token.ts";
import type { LinkStore } from "../shell/link-store.ts";
import { guardSocket } from "../shell/socket-guard.ts";
import type { Care } from "./care.ts";
import { AUTH_DEADLINE, type ControlSockets } from "./control-sockets.ts";
import type { FleetStore } from "./fleet-store.ts";

/** What the handshake needs, made of this pool. */
export function controlNeeds(
  { fleet, store, sockets, settings, reports }: Care,
  link: LinkStore,
  signingKey: string,
): HostInboxNeeds {
  return {
    link,
    now: () => Date.now(),
    admit: (auth, expects) => admit(store, signingKey, auth.token, expects),
    others: (ws, peer) => sockets.others(ws, peer),
    live: (hostId) => {
      fleet.connected(hostId);
      settings.tell(hostId);
    },
    take: ({ hostId }, raw) => {
      const message = fromHostControl.safeParse(raw);
      if (!message.success)
        throw new ProtocolViolation("protocol_violation", message.error.issues[0]?.message ?? "not understood");
      if (message.data.type === "reconciled") reports.keep(hostId, message.data.reports, Date.now());
      else fleet.fromHost(hostId, message.data);
      return "not-stored";
    },
  };
}

/** A host dials. One that has said everything with that is in at once; any other has `authDeadlineMs` to say it. */
export async function openControl(
  headers: Headers,
  hostId: string,
  { sockets, chores, now, needs }: Pick<Care, "sockets" | "chores"> & { now: number; needs: HostInboxNeeds },
): Promise<Response> {
  const host = await introduced(headers, now, needs, hostId);
  const { 0: client, 1: server } = new WebSocketPair();
  sockets.accept(server, hostId, now);
  if (!host) {
    chores.deadlines.set(AUTH_DEADLINE, now + TIMES.authDeadlineMs);
    return new Response(null, { status: 101, webSocket: client });
  }
  await guardSocket(server, "fleet", { hostId }, () => comeIn(server, host, needs));
  return new Response(null, { status: 101, webSocket: client, headers: { [AUTH_HEADER]: AUTH_TAKEN } });
}

async function admit(
  store: FleetStore,
  signingKey: string,
  token: string,
  expects: string | undefined,
): Promise<Admission> {
  const claims = await verifyHostToken(signingKey, token, Date.now());
  if (!claims.ok) return { ok: false, close: "auth_rejected", message: claims.message };
  const { hostId, organizationId } = claims;
  if (hostId !== expects || organizationId !== store.organizationId) {
    return { ok: false, close: "forbidden", message: "the token is not this host's" };
  }
  if (!store.host(hostId)) return { ok: false, close: "gone", message: "this host was removed; join again" };
  return { ok: true, peer: hostId, hostId, epoch: 0 };
}

/** A fresh token for a host that is connected: an old one that runs out never makes a healthy host unhealthy. */
export async function renewToken(
  store: FleetStore,
  sockets: ControlSockets,
  signingKey: string,
  hostId: string,
): Promise<void> {
  const { organizationId, pool } = store;
  const { token, expiresAt } = await mintHostToken(signingKey, { hostId, organizationId, pool, nowMs: Date.now() });
  sockets.send(hostId, { type: "token", token, expiresAt });
}
