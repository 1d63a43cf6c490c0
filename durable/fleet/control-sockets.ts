/** A pool's control sockets: which of them are live, and what is said on them. */
import { TIMES } from "#protocol/limits.ts";
import type { ToHostControl } from "#protocol/messages.ts";
import { closeSocket, type HostSocketPhase } from "../shell/host-handshake.ts";
import type { LinkStore } from "../shell/link-store.ts";

/** All control sockets; a host's own are found by its id as a second tag. */
const HOST_TAG = "host";
/** The name under which sockets that have not authenticated are looked at again. */
export const AUTH_DEADLINE = "auth";

export class ControlSockets {
  readonly #ctx: DurableObjectState;
  readonly #link: LinkStore;

  constructor(ctx: DurableObjectState, link: LinkStore) {
    this.#ctx = ctx;
    this.#link = link;
  }

  accept(ws: WebSocket, hostId: string, now: number): void {
    this.#ctx.acceptWebSocket(ws, [HOST_TAG, hostId]);
    ws.serializeAttachment({ kind: "host", phase: "new", since: now, expects: hostId } satisfies HostSocketPhase);
  }

  live(hostId: string): WebSocket[] {
    return this.#ctx.getWebSockets(hostId).filter((ws) => isOpen(ws) && phaseOf(ws).phase === "live");
  }

  isConnected(hostId: string): boolean {
    return this.live(hostId).length > 0;
  }

  /** Stored first; goes out now when the host is there, else when it resumes. */
  send(hostId: string, message: ToHostControl): void {
    const frame = this.#link.enqueue(hostId, message);
    for (const ws of this.live(hostId)) ws.send(frame);
  }

  /** To every host that is there now; nothing is kept for the others. */
  broadcast(message: ToHostControl): void {
    const states = this.#ctx.getWebSockets(HOST_TAG).map(phaseOf);
    const there = new Set(states.flatMap((state) => (state.phase === "live" ? [state.hostId] : [])));
    for (const hostId of there) this.send(hostId, message);
  }

  /** The last ping that the platform answered for this host; undefined while it is not connected. */
  lastPingAt(hostId: string): number | undefined {
    const times = this.live(hostId).map((ws) => this.#ctx.getWebSocketAutoResponseTimestamp(ws)?.getTime() ?? 0);
    return times.length > 0 ? Math.max(...times) : undefined;
  }

  others(ws: WebSocket, hostId: string): WebSocket[] {
    return this.#ctx.getWebSockets(hostId).filter((other) => other !== ws && phaseOf(other).phase !== "new");
  }

  closeAll(hostId: string, close: "gone" | "going_away", message: string): void {
    for (const ws of this.#ctx.getWebSockets(hostId)) closeSocket(ws, close, message);
  }

  closeSilent(now: number): void {
    for (const ws of this.#ctx.getWebSockets(HOST_TAG)) {
      const state = phaseOf(ws);
      if (state.phase === "new" && state.since <= now - TIMES.authDeadlineMs) {
        closeSocket(ws, "auth_timeout", "no auth frame in time");
      }
    }
  }
}

const phaseOf = (ws: WebSocket): HostSocketPhase => ws.deserializeAttachment() as HostSocketPhase;
const isOpen = (ws: WebSocket): boolean => ws.readyState === WebSocket.READY_STATE_OPEN;
