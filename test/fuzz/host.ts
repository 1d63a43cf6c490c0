/**
 * A host that follows PROTOCOL.md, scripted: its disk outlives the daemon, its memory does not. It is a model of
 * executor-host, not its code; what happens to a lease is next door (host-lease.ts).
 */
import type { HostFacts, ToHostControl } from "#protocol/messages.ts";
import { decideOffer } from "../../executor-host/offer.ts";
import { Dial } from "./dial.ts";
import type { Life } from "./disk.ts";
import { HostLease, type LeaseDisk } from "./host-lease.ts";
import { LinkSide } from "./link-side.ts";
import { Random } from "./random.ts";
import type { World } from "./world.ts";

type HostDisk = { control: LinkSide; leases: Map<string, LeaseDisk> };

export class Host {
  readonly id: string;
  readonly slots: number;
  readonly random: Random;
  readonly world: World;
  #disk: HostDisk = { control: new LinkSide(), leases: new Map() };
  #life: Life = { alive: false };
  #control: Dial | undefined;
  readonly #open = new Map<string, HostLease>();
  /** Standing still: what would have happened happens afterwards, in order. */
  #backlog: (() => void)[] | undefined;
  ready = true;
  labels: Record<string, string> = {};
  /** An operator wants it empty. */
  draining = false;
  /** Loses touch in the moment in which it is about to start a run. */
  offlineAtStart = false;
  /** Refuses offers with this probability. */
  moody = 0;

  constructor(world: World, id: string, slots: number) {
    this.world = world;
    this.id = id;
    this.slots = slots;
    this.random = new Random(world.seed, id);
  }

  get life(): Life {
    return this.#life;
  }

  get up(): boolean {
    return this.#life.alive;
  }

  leases(): { sessionId: string; epoch: number }[] {
    return [...this.#disk.leases.values()].map(({ sessionId, epoch }) => ({ sessionId, epoch }));
  }

  lease(sessionId: string): LeaseDisk | undefined {
    return this.#disk.leases.get(sessionId);
  }

  /** The links that are there now. */
  dials(): { control: Dial | undefined; data: Dial[] } {
    return { control: this.#control, data: [...this.#open.values()].map((lease) => lease.dial) };
  }

  boot(): void {
    if (this.#life.alive) return;
    this.#life = { alive: true };
    this.#control = this.#dialControl();
    for (const lease of this.#disk.leases.values()) this.#start(lease);
  }

  /** The daemon is gone; a machine that is gone takes the workers with it. */
  crash(what: "daemon" | "machine"): void {
    if (!this.#life.alive) return;
    this.thaw();
    this.#life.alive = false;
    const { control, data } = this.dials();
    for (const dial of [control, ...data]) {
      // A process that dies resets its connections; a machine that loses power says nothing.
      if (what === "machine") dial?.wire?.goDark();
      dial?.close(1006);
    }
    this.#control = undefined;
    this.#open.clear();
    if (what === "machine") for (const lease of this.#disk.leases.values()) lease.worker = "gone";
  }

  loseDisk(): void {
    this.crash("machine");
    this.#disk = { control: new LinkSide(), leases: new Map() };
  }

  freeze(): void {
    if (!this.#life.alive || this.#backlog) return;
    this.#backlog = [];
    for (const dial of this.#allDials()) dial.wire?.pause();
  }

  thaw(): void {
    const backlog = this.#backlog;
    if (!backlog) return;
    this.#backlog = undefined;
    for (const dial of this.#allDials()) dial.wire?.resume();
    for (const work of backlog) this.world.agenda.after(0, `${this.id} goes on`, () => this.guarded(this.#life, work));
  }

  /** Nothing reaches it or comes from it until it dials again. */
  goOffline(): void {
    for (const dial of this.#allDials()) dial.wire?.goDark();
  }

  /** Its clock jumps: every link looks silent to it. */
  clockJump(): void {
    this.guarded(this.#life, () => {
      for (const dial of this.#allDials()) dial.redial();
    });
  }

  /** The operator has what they wanted: the pool may give it work, and tells it so. */
  goBackToWork(): void {
    if (this.draining || this.world.fleet.drains(this.id)) this.world.fleet.drain(this.id, false);
  }

  tellFacts(): void {
    if (!this.#life.alive) return;
    const providers: HostFacts["providers"] = {
      scripted: this.ready ? { state: "ready" } : { state: "environment_not_ready", reason: "not set up" },
    };
    const facts: HostFacts = {
      name: this.id,
      version: "sim",
      platform: "sim",
      vmModes: ["docker"],
      providers,
      labels: this.labels,
      slots: this.draining ? 0 : this.slots,
    };
    this.#control?.say({ type: "facts", facts, leases: this.leases() });
  }

  /** Runs now, or when the machine goes on; never after the daemon it belonged to is gone. */
  guarded(life: Life, work: () => void): void {
    if (!life.alive) return;
    if (this.#backlog) this.#backlog.push(() => life.alive && work());
    else work();
  }

  after(delayMs: number, label: string, work: () => void): () => void {
    const life = this.#life;
    return this.world.agenda.after(delayMs, `${this.id} ${label}`, () => this.guarded(life, work));
  }

  /** The lease is over on this host; `release` says so to the pool. */
  forget(lease: LeaseDisk, how: "release" | "silently"): void {
    const open = this.#open.get(lease.sessionId);
    if (this.#disk.leases.get(lease.sessionId) === lease) this.#disk.leases.delete(lease.sessionId);
    if (open?.disk === lease) {
      open.end();
      this.#open.delete(lease.sessionId);
    }
    if (how === "release")
      this.#control?.say({ type: "lease.release", sessionId: lease.sessionId, epoch: lease.epoch });
  }

  #allDials(): Dial[] {
    const { control, data } = this.dials();
    return control ? [control, ...data] : data;
  }

  #dialControl(): Dial {
    const life = this.#life;
    return new Dial({
      side: this.#disk.control,
      token: this.id,
      random: this.random,
      after: (delayMs, label, run) => this.after(delayMs, `control ${label}`, run),
      connect: (client) => this.world.fleet.dialControl(this.id, this.world.through(this, life, client)),
      take: (message) => this.#take(message as ToHostControl),
      live: () => this.tellFacts(),
      ended: (name) => this.world.violation("P-19", `${this.id}: control link ended with ${name}`),
      misunderstood: (message) => this.world.violation("P-15", `${this.id}: ${message}`),
    });
  }

  #take(message: ToHostControl): void {
    if (message.type === "assign") {
      const { assignment } = message;
      const { sessionId, epoch } = assignment;
      const held = this.leases();
      const decision = decideOffer(assignment, {
        draining: this.draining,
        slots: this.slots,
        vmModes: ["docker"],
        held,
      });
      const refused = decision.accept && !decision.again && this.random.chance(this.moody);
      if (!decision.accept || refused) {
        const reason = decision.accept ? "the disk is full" : decision.reason;
        return this.#control?.say({ type: "assign.reject", sessionId, epoch, reason });
      }
      if (!decision.again) {
        const older = this.#disk.leases.get(sessionId);
        if (older) this.forget(older, "silently");
        const lease: LeaseDisk = {
          sessionId,
          epoch,
          link: new LinkSide(),
          phase: "held",
          stopWanted: false,
          runs: [],
          worker: "none",
          dirty: false,
        };
        this.#disk.leases.set(sessionId, lease);
        this.#start(lease);
      }
      this.#control?.say({ type: "assign.accept", sessionId, epoch });
    } else if (message.type === "drain") {
      this.draining = true;
      for (const lease of this.#open.values()) lease.leave();
      this.tellFacts();
    } else if (message.type === "drain.over") {
      this.draining = false;
      this.tellFacts();
    } else if (message.type === "lease.revoked") {
      const lease = this.#disk.leases.get(message.sessionId);
      if (lease?.epoch === message.epoch) this.forget(lease, "silently");
    }
  }

  #start(lease: LeaseDisk): void {
    this.#open.set(lease.sessionId, new HostLease(this, lease));
  }
}
