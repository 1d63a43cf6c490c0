/** A pool's Durable Object: a shell. It identifies who speaks and hands the words over; fleet.ts does the rest. */
import type { HostRecord } from "#protocol/http.ts";
import { objectName } from "#protocol/ids.ts";
import {
  type FleetRpc,
  type LeaseGrant,
  type LeaseRequest,
  type RegisterHost,
  type Result,
  reject,
} from "#protocol/objects.ts";
import { Chores } from "../shell/chores.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import { answerClose, type HostInboxNeeds, type HostSocketPhase, onHostFrame } from "../shell/host-handshake.ts";
import { LinkStore } from "../shell/link-store.ts";
import { guardSocket } from "../shell/socket-guard.ts";
import { type Care, careOf } from "./care.ts";
import { controlNeeds, openControl, renewToken } from "./control-inbox.ts";
import { AUTH_DEADLINE, ControlSockets } from "./control-sockets.ts";
import { Fleet } from "./fleet.ts";
import { FleetStore } from "./fleet-store.ts";
import { hostRecords } from "./host-records.ts";
import { PoolCare } from "./pool-care.ts";
import { laneOfNews, tellSessions } from "./session-calls.ts";
import { mintTicket, refuseUpgrade } from "./tickets.ts";

export class FleetObject extends PoolCare implements FleetRpc {
  readonly #store: FleetStore;
  readonly #chores: Chores;
  readonly #link: LinkStore;
  readonly #sockets: ControlSockets;
  readonly #fleet: Fleet;
  protected override readonly care: Care;

  constructor(ctx: DurableObjectState, env: ObjectsEnv) {
    super(ctx, env);
    this.#store = new FleetStore(ctx.storage);
    this.#link = new LinkStore(ctx.storage);
    this.#sockets = new ControlSockets(ctx, this.#link);
    const session = (id: string) => env.SESSION.getByName(objectName(this.#store.organizationId, id));
    this.#chores = new Chores(ctx.storage, {
      component: "fleet",
      deliver: (key, body) => tellSessions(key, body, this.#fleet, session),
      laneOf: laneOfNews,
      deadline: (name, now) => (name === AUTH_DEADLINE ? this.#sockets.closeSilent(now) : this.#fleet.deadline(name)),
    });
    this.#fleet = new Fleet({
      store: this.#store,
      deadlines: this.#chores.deadlines,
      outbox: this.#chores.outbox,
      now: () => Date.now(),
      isConnected: (hostId) => this.#sockets.isConnected(hostId),
      lastPingAt: (hostId) => this.#sockets.lastPingAt(hostId),
      hangUp: (hostId, reason) => this.#sockets.closeAll(hostId, "going_away", reason),
      sendToHost: (hostId, message) => this.#sockets.send(hostId, message),
      renewToken: (hostId) => ctx.waitUntil(renewToken(this.#store, this.#sockets, env.SIGNING_KEY, hostId)),
      linkUrls: (sessionId) => ({
        // Paths; the host resolves them against the origin it dialled.
        dataUrl: `/api/link/session/${this.#store.organizationId}/${sessionId}`,
        storeUrl: `/api/link/store/${sessionId}`,
      }),
    });
    const parts = { store: this.#store, fleet: this.#fleet, chores: this.#chores, sockets: this.#sockets };
    this.care = careOf(ctx.storage, { ...parts, session });
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  /* ── operators and the worker ── */

  async registerHost(input: RegisterHost): Promise<Result<object>> {
    this.#store.identify(input.organizationId, input.pool);
    this.#store.register(input.hostId, input.name, Date.now());
    return { ok: true };
  }

  async mintTicket(hostId: string): Promise<Result<{ ticket: string }>> {
    if (!this.#store.host(hostId)) return noSuchHost();
    return { ok: true, ticket: mintTicket(this.#store, hostId, Date.now()) };
  }

  async hosts(): Promise<HostRecord[]> {
    return hostRecords(this.#store, this.#sockets);
  }

  async drainHost(hostId: string): Promise<Result<object>> {
    return await this.#change(hostId, () => this.#fleet.drain(hostId, true));
  }

  async resumeHost(hostId: string): Promise<Result<object>> {
    return await this.#change(hostId, () => this.#fleet.drain(hostId, false));
  }

  async removeHost(hostId: string): Promise<Result<object>> {
    return await this.#change(hostId, () => {
      this.#fleet.remove(hostId);
      this.#sockets.closeAll(hostId, "gone", "this host was removed; join again to come back");
      this.#link.forget(hostId);
    });
  }

  /* ── sessions ── */

  async requestLease(organizationId: string, request: LeaseRequest): Promise<Result<object>> {
    this.#store.identify(organizationId, "default");
    this.#fleet.request(request);
    this.ctx.waitUntil(this.#chores.settle());
    return { ok: true };
  }

  async cancelRequest(input: { sessionId: string; runId: string }): Promise<Result<object>> {
    this.#fleet.withdraw(input.sessionId, input.runId);
    return { ok: true };
  }

  async releaseLease(input: { sessionId: string; epoch: number }): Promise<Result<object>> {
    this.#fleet.release(input.sessionId, input.epoch);
    this.ctx.waitUntil(this.#chores.settle());
    return { ok: true };
  }

  async confirmLease(input: {
    sessionId: string;
    hostId: string;
    epoch: number;
  }): Promise<Result<Partial<LeaseGrant>>> {
    const held = this.#fleet.confirm(input.hostId, input.sessionId, input.epoch);
    this.ctx.waitUntil(this.#chores.settle());
    return held
      ? { ok: true, ...this.#fleet.grant(input.hostId, input.epoch) }
      : reject("stale_epoch", "This pool has given no such lease.");
  }

  async drainQueue(): Promise<{ claimed: number; waiting: number }> {
    const placed = this.#fleet.place();
    await this.#chores.settle();
    return placed;
  }

  /* ── sockets and the alarm ── */

  override async fetch(request: Request): Promise<Response> {
    const url = new URL(request.url);
    const hostId = url.searchParams.get("hostId") ?? "";
    const now = Date.now();
    const refused = refuseUpgrade(this.#store, hostId, url.searchParams.get("ticket"), now);
    if (refused) return refused;
    const opened = await openControl(request.headers, hostId, { ...this.care, now, needs: this.#hostNeeds() });
    this.ctx.waitUntil(this.#chores.settle());
    return opened;
  }

  override async webSocketMessage(ws: WebSocket, raw: string | ArrayBuffer): Promise<void> {
    const needs = this.#hostNeeds();
    const state = ws.deserializeAttachment() as HostSocketPhase;
    await guardSocket(ws, "fleet", {}, () => onHostFrame(ws, raw, state, needs));
    // Not awaited: the platform hands over this host's next frame only when this one is done.
    this.ctx.waitUntil(this.#chores.settle());
  }

  override async webSocketClose(ws: WebSocket, code: number): Promise<void> {
    answerClose(ws, code);
    const state = ws.deserializeAttachment() as HostSocketPhase;
    if (state.phase !== "live" || this.#sockets.live(state.hostId).some((other) => other !== ws)) return;
    this.#fleet.disconnected(state.hostId);
    await this.#chores.settle();
  }

  override async alarm(): Promise<void> {
    await this.#chores.alarm(Date.now());
  }

  #hostNeeds(): HostInboxNeeds {
    return controlNeeds(this.care, this.#link, this.env.SIGNING_KEY);
  }

  async #change(hostId: string, change: () => void): Promise<Result<object>> {
    if (!this.#store.host(hostId)) return noSuchHost();
    change();
    await this.#chores.settle();
    return { ok: true };
  }
}

const noSuchHost = () => reject("not_found", "This pool has no such host.");
