/** The host's side of the door: who may come in, and what becomes of a message. */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { objectName } from "#protocol/ids.ts";
import { TIMES } from "#protocol/limits.ts";
import { AUTH_HEADER, AUTH_TAKEN, fromHostData } from "#protocol/messages.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import {
  type Admission,
  comeIn,
  type HostInboxNeeds,
  type HostSocketPhase,
  introduced,
} from "../shell/host-handshake.ts";
import { type HostClaims, verifyHostToken } from "../shell/host-token.ts";
import { guardSocket } from "../shell/socket-guard.ts";
import { HOST_PEER } from "./effects.ts";
import { holdsLease } from "./run-steps.ts";
import { HOST_TAG, type Session } from "./session.ts";

/** What the handshake needs, made of this session. */
export function hostNeeds(session: Session, ctx: DurableObjectState, env: ObjectsEnv): HostInboxNeeds {
  return {
    link: session.link,
    now: () => Date.now(),
    admit: (auth) => admit(session, env, auth),
    others: (ws, peer) =>
      ctx
        .getWebSockets(HOST_TAG)
        .filter(
          (other) =>
            other !== ws && (other.deserializeAttachment() as HostSocketPhase & { peer?: string })?.peer === peer,
        ),
    live: () => session.hub.tell({ type: "host", connected: true }),
    take: ({ hostId, epoch, n }, raw) => {
      const message = fromHostData.safeParse(raw);
      if (!message.success) {
        const issue = message.error.issues[0];
        throw new ProtocolViolation(
          "protocol_violation",
          `${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not understood"}`,
        );
      }
      const traceId =
        session.view.runs.find((run) => "runId" in message.data && run.id === message.data.runId)?.traceId ??
        `host-${hostId}`;
      const result = session.handle(
        { type: "host_message", epoch, message: message.data },
        { by: { id: hostId, name: "host" }, now: Date.now(), traceId, message: { epoch, n } },
      );
      if (!result.ok)
        throw new ProtocolViolation(result.reason === "stale_epoch" ? "stale_epoch" : "gone", result.message);
      return result.events.length > 0 ? "stored" : "not-stored";
    },
  };
}

/** A host dials. One that has said everything with that is in at once; any other has `authDeadlineMs` to say it. */
export async function openHost(
  session: Session,
  ctx: DurableObjectState,
  needs: HostInboxNeeds,
  { headers }: Request,
): Promise<Response> {
  const now = Date.now();
  const host = await introduced(headers, now, needs);
  const { 0: client, 1: server } = new WebSocketPair();
  ctx.acceptWebSocket(server, [HOST_TAG]);
  server.serializeAttachment({ kind: "host", phase: "new", since: now } satisfies HostSocketPhase);
  if (!host) {
    session.expectAuth(now + TIMES.authDeadlineMs);
    return new Response(null, { status: 101, webSocket: client });
  }
  await guardSocket(server, "session", { sessionId: session.view.id }, () => comeIn(server, host, needs));
  return new Response(null, { status: 101, webSocket: client, headers: { [AUTH_HEADER]: AUTH_TAKEN } });
}

async function admit(session: Session, env: ObjectsEnv, auth: { token: string; epoch?: number }): Promise<Admission> {
  const claims = await verifyHostToken(env.SIGNING_KEY, auth.token, Date.now());
  if (!claims.ok) return { ok: false, close: "auth_rejected", message: claims.message };
  return await admitHost(session, env, claims, auth.epoch ?? 0);
}

/** Whether the host, which is who its token says, holds this session's lease under `epoch` (PROTOCOL [P-10], [P-11]). */
export async function admitHost(
  session: Session,
  env: ObjectsEnv,
  claims: HostClaims,
  epoch: number,
): Promise<Admission> {
  if (!session.exists || claims.organizationId !== session.identity.organizationId) {
    return { ok: false, close: "forbidden", message: "this host has no business here" };
  }
  // The host may be faster than the fleet's own message: ask the fleet instead of sending the host away.
  if (epoch > session.view.epoch) await confirmLease(session, env, claims.hostId, epoch, claims.pool);
  if (session.view.epoch !== epoch)
    return { ok: false, close: "stale_epoch", message: `the current epoch is ${session.view.epoch}` };
  if (!holdsLease(session.view) || session.view.worker.hostId !== claims.hostId) {
    return {
      ok: false,
      close: "stale_epoch",
      message: `this host has no lease; the current epoch is ${session.view.epoch}`,
    };
  }
  return { ok: true, peer: HOST_PEER, hostId: claims.hostId, epoch };
}

async function confirmLease(
  session: Session,
  env: ObjectsEnv,
  hostId: string,
  epoch: number,
  pool: string,
): Promise<void> {
  const { organizationId, sessionId } = session.identity;
  const fleet = env.FLEET.getByName(objectName(organizationId, pool));
  const confirmed = await fleet.confirmLease({ sessionId, hostId, epoch });
  if (!confirmed.ok) return;
  // While the fleet was asked, its own message may have arrived.
  if (session.view.epoch >= epoch) return;
  session.handle(
    { type: "lease_granted", hostId, epoch, ...(confirmed.labels ? { labels: confirmed.labels } : {}) },
    { by: { id: hostId, name: "host" }, now: Date.now(), traceId: `lease-${epoch}` },
  );
}
