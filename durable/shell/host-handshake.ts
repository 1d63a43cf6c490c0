/**
 * The beginning of a host's socket, the same on both links: `auth` → `welcome` → `resume` → `resumed`, then numbered
 * messages (PROTOCOL [P-3] to [P-12]). The phase is kept in the socket's attachment, so it survives hibernation.
 */
import { z } from "zod";
import { CLOSE_CODES, type CloseName, ProtocolViolation } from "#protocol/close-codes.ts";
import { parseFrame } from "#protocol/frame.ts";
import { AUTH_HEADER, ackSchema, authSchema, dialSchema, resumeSchema } from "#protocol/messages.ts";
import { commonVersion, OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION } from "#protocol/version.ts";
import type { LinkStore, Taken } from "./link-store.ts";

export type HostSocketPhase =
  | { kind: "host"; phase: "new"; since: number; expects?: string }
  | { kind: "host"; phase: "welcomed" | "live"; since: number; peer: string; hostId: string; epoch: number };

type LiveSocket = Exclude<HostSocketPhase, { phase: "new" }>;

/** Who may come in: answers the peer's name in the link store, or the close that ends the attempt. */
export type Admission =
  | { ok: true; peer: string; hostId: string; epoch: number }
  | { ok: false; close: CloseName; message: string };

/** The message itself is checked later, so that one that is not understood can be skipped by its number. */
const hostFrame = z.union([
  z.object({ n: z.number().int().positive(), ack: z.number().int().nonnegative(), message: z.unknown() }),
  authSchema,
  resumeSchema,
  ackSchema,
]);

export type HostInboxNeeds = {
  link: LinkStore;
  admit(auth: z.infer<typeof authSchema>, expects: string | undefined): Promise<Admission>;
  /** One message, exactly once and in order. Throws ProtocolViolation when it is not one. */
  take(from: { hostId: string; epoch: number; n: number }, message: unknown): Taken;
  /** The link is live: both sides have caught up. */
  live(hostId: string): void;
  now(): number;
  others(ws: WebSocket, peer: string): WebSocket[];
};

/**
 * Handles one frame of a host.
 * @param state what the socket's attachment says
 * @throws ProtocolViolation with the row of the close table
 */
export async function onHostFrame(
  ws: WebSocket,
  raw: string | ArrayBuffer,
  state: HostSocketPhase,
  needs: HostInboxNeeds,
): Promise<void> {
  const frame = parseFrame(raw, hostFrame);
  if (state.phase === "new") {
    if (!("type" in frame) || frame.type !== "auth")
      throw new ProtocolViolation("protocol_violation", "the first frame has to be auth");
    return await welcome(ws, frame, state, needs);
  }
  const { peer } = state;
  if ("type" in frame) {
    if (frame.type === "auth" || state.phase === "live")
      throw new ProtocolViolation("protocol_violation", `${frame.type} is not expected here`);
    return resume(ws, frame.received, state, needs);
  }
  if (state.phase !== "live") throw new ProtocolViolation("protocol_violation", "resume has to come before messages");
  if (!needs.link.acknowledged(peer, frame.ack))
    throw new ProtocolViolation("protocol_violation", "acknowledges what was never sent");
  if (!("n" in frame)) return;
  const verdict = needs.link.arrived(peer, frame.n);
  if (verdict === "gap")
    throw new ProtocolViolation("gap", `expected ${needs.link.position(peer).taken + 1}, got ${frame.n}`);
  if (verdict === "take") takeMessage(ws, frame, state, needs);
  // What was said may have ended the link ("stopped" does).
  if (ws.readyState === WebSocket.READY_STATE_OPEN) send(ws, { ack: needs.link.position(peer).taken });
}

function takeMessage(
  ws: WebSocket,
  { n, message }: { n: number; message?: unknown },
  { peer, hostId, epoch }: LiveSocket,
  needs: HostInboxNeeds,
): void {
  let taken: Taken = "not-stored";
  try {
    taken = needs.take({ hostId, epoch, n }, message);
  } catch (error) {
    // A message that is not understood is skipped: it would come again and again, and the next one is innocent.
    if (!(error instanceof ProtocolViolation) || error.close !== "protocol_violation") throw error;
    send(ws, { type: "error", reason: "not_understood", message: error.message });
  } finally {
    needs.link.took(peer, n, taken);
  }
}

async function welcome(
  ws: WebSocket,
  auth: z.infer<typeof authSchema>,
  { since, expects }: Extract<HostSocketPhase, { phase: "new" }>,
  needs: HostInboxNeeds,
): Promise<void> {
  const protocol = commonVersion(auth.protocol, auth.oldest);
  if (protocol === undefined)
    throw new ProtocolViolation(
      "version",
      `protocol ${auth.protocol} is not spoken here; this side speaks ${OLDEST_PROTOCOL_VERSION} to ${PROTOCOL_VERSION}`,
    );
  const admission = await needs.admit(auth, expects);
  if (!admission.ok) throw new ProtocolViolation(admission.close, admission.message);
  // While others were asked, the peer may have gone.
  if (ws.readyState === WebSocket.READY_STATE_OPEN) greet(ws, { ...admission, protocol, since }, needs);
}

/** A host that may come in, and when it dialled. */
type Admitted = Extract<Admission, { ok: true }> & { protocol: number; since: number };

/** What a dial said, that may come in as if it had said so in frames. */
export type Introduced = Admitted & { received: number };

/**
 * Looks at what the dial itself carried of the handshake. Undefined when that was nothing, or not enough to come in: then the
 * frames have to come, and whatever is wrong is said there.
 * @param since when it dialled
 */
export async function introduced(
  headers: Headers,
  since: number,
  needs: Pick<HostInboxNeeds, "admit">,
  expects?: string,
): Promise<Introduced | undefined> {
  const text = headers.get(AUTH_HEADER);
  const said = text?.startsWith("{") ? dialSchema.safeParse(readJson(text)) : undefined;
  if (!said?.success) return undefined;
  const { received, ...auth } = said.data;
  const protocol = commonVersion(auth.protocol, auth.oldest);
  if (protocol === undefined) return undefined;
  const admission = await needs.admit(auth, expects);
  return admission.ok ? { ...admission, protocol, since, received } : undefined;
}

/** Lets in a host whose dial said everything: its socket is live at once. @throws ProtocolViolation as the frames would */
export function comeIn(ws: WebSocket, host: Introduced, needs: HostInboxNeeds): void {
  resume(ws, host.received, greet(ws, host, needs), needs);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function greet(ws: WebSocket, { protocol, since, peer, hostId, epoch }: Admitted, needs: HostInboxNeeds): LiveSocket {
  for (const other of needs.others(ws, peer)) {
    // An auth that was long on its way: the host has dialled again since, and listens there.
    if ((other.deserializeAttachment() as HostSocketPhase).since > since)
      throw new ProtocolViolation("replaced", "a newer connection of this host is here already");
    closeSocket(other, "replaced", "a newer connection of this host took over");
  }
  const state: LiveSocket = { kind: "host", phase: "welcomed", since, peer, hostId, epoch };
  ws.serializeAttachment(state);
  send(ws, { type: "welcome", protocol, now: needs.now() });
  return state;
}

function resume(ws: WebSocket, received: number, state: LiveSocket, needs: HostInboxNeeds): void {
  const { peer, hostId } = state;
  if (!needs.link.resumed(peer, received))
    throw new ProtocolViolation("protocol_violation", "has received what was never sent");
  ws.serializeAttachment({ ...state, phase: "live" } satisfies HostSocketPhase);
  send(ws, { type: "resumed", received: needs.link.position(peer).taken });
  for (const frame of needs.link.unacknowledged(peer)) ws.send(frame);
  needs.live(hostId);
}

/** Sends a handshake frame, an acknowledgement or an error; nothing that has to arrive. */
export function send(ws: WebSocket, message: unknown): void {
  ws.send(JSON.stringify(message));
}

/** Closes with a row of the table; a socket that is already gone is as good as closed. */
export function closeSocket(ws: WebSocket, name: CloseName, message: string): void {
  // The platform limits a reason to 123 bytes of UTF-8.
  const reason =
    new TextEncoder().encode(message).byteLength > 120
      ? `${message.slice(0, 60).replace(/[^\x20-\x7e]/g, "?")}…`
      : message;
  if (ws.readyState === WebSocket.READY_STATE_OPEN) ws.close(CLOSE_CODES[name].code, reason);
}

/**
 * The peer has closed: answer it, so that its socket ends now and not by a time-out. The platform's own answer does not
 * reach sockets that can hibernate.
 */
export function answerClose(ws: WebSocket, code: number): void {
  // 1005 and 1006 say that there was no code; they must not be sent.
  if (ws.readyState !== WebSocket.READY_STATE_CLOSED) ws.close(code === 1005 || code === 1006 ? 1000 : code);
}
