/** The pool in the simulation: the real Fleet with its real tables, behind a few lines that say what its object's shell says. */
import type { FleetRpc, LeaseRequest, SessionRpc } from "#protocol/objects.ts";
import { reject } from "#protocol/objects.ts";
import { type Care, careOf } from "../../durable/fleet/care.ts";
import { controlNeeds } from "../../durable/fleet/control-inbox.ts";
import { ControlSockets } from "../../durable/fleet/control-sockets.ts";
import { Fleet } from "../../durable/fleet/fleet.ts";
import { FleetStore } from "../../durable/fleet/fleet-store.ts";
import { laneOfNews, tellSessions } from "../../durable/fleet/session-calls.ts";
import { Chores } from "../../durable/shell/chores.ts";
import { answerClose, type HostSocketPhase, onHostFrame } from "../../durable/shell/host-handshake.ts";
import { LinkStore } from "../../durable/shell/link-store.ts";
import { guardSocket } from "../../durable/shell/socket-guard.ts";
import type { Life } from "./disk.ts";
import { ObjectNode } from "./object-node.ts";
import { ORGANIZATION_ID } from "./organization.ts";
import { asPlatform } from "./session-node.ts";
import type { ServerSocket, Wire, WireClient } from "./wire.ts";
import type { World } from "./world.ts";

type Instance = Care & { link: LinkStore; ctx: DurableObjectState };
type Called = Pick<FleetRpc, "requestLease" | "cancelRequest" | "releaseLease" | "confirmLease" | "deadLetter">;

export class FleetNode extends ObjectNode<Instance> {
  /** What operators want of hosts by now. */
  readonly #wishes = new Map<string, boolean>();

  constructor(world: World) {
    super(world, "fleet");
  }

  protected override build(storage: DurableObjectStorage, life: Life): Instance {
    const ctx = this.context(storage, life);
    const store = new FleetStore(storage);
    const link = new LinkStore(storage);
    const sockets = new ControlSockets(ctx, link);
    const chores: Chores = new Chores(storage, {
      component: "fleet",
      deliver: (key, body) => tellSessions(key, body, fleet, (id) => this.world.session(id).stub(life) as SessionRpc),
      laneOf: laneOfNews,
      deadline: (name, now) => (name === "auth" ? sockets.closeSilent(now) : fleet.deadline(name)),
    });
    const fleet: Fleet = new Fleet({
      store,
      deadlines: chores.deadlines,
      outbox: chores.outbox,
      now: () => Date.now(),
      isConnected: (hostId) => sockets.live(hostId).length > 0,
      lastPingAt: (hostId) => sockets.lastPingAt(hostId),
      hangUp: (hostId, reason) => sockets.closeAll(hostId, "going_away", reason),
      sendToHost: (hostId, message) => sockets.send(hostId, message),
      renewToken: () => {},
      linkUrls: (sessionId) => ({ dataUrl: `/data/${sessionId}`, storeUrl: `/store/${sessionId}` }),
    });
    const session = (id: string) => this.world.session(id).stub(life) as SessionRpc;
    return { link, ctx, ...careOf(storage, { fleet, store, sockets, chores, session }) };
  }

  /** This pool as a session calls it. */
  stub(from: Life): Called {
    const settled = ({ ctx, chores }: Instance) => ctx.waitUntil(chores.settle());
    return {
      requestLease: (organizationId: string, request: LeaseRequest) =>
        this.call(from, "requestLease", async (instance) => {
          instance.store.identify(organizationId, "default");
          instance.fleet.request(request);
          settled(instance);
          return { ok: true };
        }),
      cancelRequest: ({ sessionId, runId }) =>
        this.call(from, "cancelRequest", async ({ fleet }) => {
          fleet.withdraw(sessionId, runId);
          return { ok: true };
        }),
      releaseLease: ({ sessionId, epoch }) =>
        this.call(from, "releaseLease", async (instance) => {
          instance.fleet.release(sessionId, epoch);
          settled(instance);
          return { ok: true };
        }),
      confirmLease: ({ sessionId, hostId, epoch }) =>
        this.call(from, "confirmLease", async (instance) => {
          const held = instance.fleet.confirm(hostId, sessionId, epoch);
          settled(instance);
          if (held) return { ok: true, ...instance.fleet.grant(hostId, epoch) };
          return reject("stale_epoch", "This pool has given no such lease.");
        }),
      deadLetter: (letter) =>
        this.call(from, "deadLetter", async ({ store }) => {
          store.deadLetters.add(letter);
          return { ok: true };
        }),
    };
  }

  /** An operator's word about a host; their client says it again until it is heard. */
  drain(hostId: string, draining: boolean): void {
    this.#wishes.set(hostId, draining);
    const said = this.call(undefined, "drain", async ({ fleet, chores, ctx }) => {
      fleet.drain(hostId, draining);
      ctx.waitUntil(chores.settle());
    });
    const again = () => this.#wishes.get(hostId) === draining && this.drain(hostId, draining);
    said.catch(() => this.world.agenda.after(1_000, "drain again", again));
  }

  drains(hostId: string): boolean {
    return this.disk.rows("SELECT 1 FROM host WHERE host_id = ? AND draining = 1", hostId).length > 0;
  }

  register(hostId: string, name: string): void {
    this.instance.store.identify(ORGANIZATION_ID, "default");
    this.instance.store.register(hostId, name, Date.now());
  }

  dialControl(hostId: string, client: WireClient): Wire {
    return this.dial(client, ({ chores, ctx }, socket) => {
      const now = Date.now();
      socket.tags = ["host", hostId];
      socket.serializeAttachment({ kind: "host", phase: "new", since: now, expects: hostId } satisfies HostSocketPhase);
      chores.deadlines.set("auth", now + 10_000);
      ctx.waitUntil(chores.settle());
    });
  }

  protected override async frame(instance: Instance, socket: ServerSocket, text: string): Promise<void> {
    const { store, link, chores } = instance;
    const needs = {
      ...controlNeeds(instance, link, ""),
      // The token is the host's id here: signatures have their own tests.
      admit: async ({ token }: { token: string }) =>
        store.host(token)
          ? { ok: true as const, peer: token, hostId: token, epoch: 0 }
          : { ok: false as const, close: "gone" as const, message: "this host was removed" },
    };
    const state = socket.deserializeAttachment() as HostSocketPhase;
    await guardSocket(asPlatform(socket), "fleet", {}, () => onHostFrame(asPlatform(socket), text, state, needs));
    await chores.settle();
  }

  protected override async socketClosed(instance: Instance, socket: ServerSocket, code: number): Promise<void> {
    const { fleet, sockets, chores } = instance;
    answerClose(asPlatform(socket), code);
    const state = socket.deserializeAttachment() as HostSocketPhase;
    if (state.phase !== "live") return;
    if (sockets.live(state.hostId).some((other) => other !== asPlatform(socket))) return;
    fleet.disconnected(state.hostId);
    await chores.settle();
  }

  protected override async ring({ chores }: Instance): Promise<void> {
    await chores.alarm(Date.now());
  }
}
