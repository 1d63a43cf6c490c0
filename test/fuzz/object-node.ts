/**
 * Where an object lives in the simulation: a disk that stays, an instance that comes and goes, its sockets, its alarm.
 * Killed, it loses memory and sockets; evicted, only its memory. Whoever called it meanwhile hears an error.
 */
import { Disk, type Life } from "./disk.ts";
import { type ServerSocket, Wire, type WireClient } from "./wire.ts";
import type { World } from "./world.ts";

/** Marks errors that the simulation made: what logs them is right to do so. */
export const INJECTED = "injected:";

export abstract class ObjectNode<Instance> {
  readonly name: string;
  readonly disk: Disk;
  protected readonly world: World;
  #life: Life = { alive: false };
  #instance: Instance | undefined;
  #sockets: ServerSocket[] = [];
  /** Callers who wait for an answer of this instance. */
  #waiting = new Set<() => void>();
  #down = false;
  #cancelAlarm: () => void = () => {};
  /** What becomes of the alarm that rings when its instance goes. */
  #ringing: (() => void) | undefined;

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.disk = new Disk((at) => this.#planAlarm(at, this.world.alarms.lateMs()));
  }

  protected abstract build(storage: DurableObjectStorage, life: Life): Instance;
  protected abstract frame(instance: Instance, socket: ServerSocket, text: string): Promise<void>;
  protected abstract socketClosed(instance: Instance, socket: ServerSocket, code: number): Promise<void>;
  protected abstract ring(instance: Instance): Promise<void>;

  /** The present instance; one is made when there is none. */
  get instance(): Instance {
    if (this.#instance === undefined) {
      this.#life = { alive: true };
      this.#instance = this.build(this.disk.storage(this.#life), this.#life);
    }
    return this.#instance;
  }

  get awake(): boolean {
    return this.#instance !== undefined;
  }

  sockets(tag: string): ServerSocket[] {
    return this.#sockets.filter((socket) => socket.tags.includes(tag));
  }

  /** What the objects need of their context. */
  protected context(storage: DurableObjectStorage, life: Life): DurableObjectState {
    return {
      storage,
      getWebSockets: (tag: string) => this.sockets(tag),
      getWebSocketAutoResponseTimestamp: (socket: ServerSocket) => {
        const at = socket.wire.lastPingAt();
        return at === undefined ? null : new Date(at);
      },
      waitUntil: (promise: Promise<unknown>) => this.#watch(life, "waitUntil", promise),
    } as unknown as DurableObjectState;
  }

  /** Opens a socket to this object. `accept` runs where the object's `fetch` would. */
  protected dial(client: WireClient, accept: (instance: Instance, socket: ServerSocket) => void): Wire {
    const { agenda, network } = this.world;
    const wire = new Wire(agenda, network, client, {
      message: (socket, text) => this.#handle("frame", (instance) => this.frame(instance, socket, text)),
      closed: (socket, code) => {
        if (!this.#sockets.includes(socket)) return;
        this.#sockets = this.#sockets.filter((each) => each !== socket);
        this.#handle("close", (instance) => this.socketClosed(instance, socket, code));
      },
    });
    if (this.#down) wire.cut();
    else {
      this.#sockets.push(wire.socket);
      accept(this.instance, wire.socket);
    }
    return wire;
  }

  /** A call as another object, a person or a host makes it: it may be lost, late, or done without anybody hearing of it. */
  call<T>(from: Life | undefined, label: string, invoke: (instance: Instance) => Promise<T>): Promise<T> {
    const { agenda, network } = this.world;
    return new Promise((resolve, reject) => {
      const answer = (settle: () => void) =>
        agenda.after(network.delayMs(), `answer ${label}`, () => {
          if (from === undefined || from.alive) settle();
        });
      const fail = (why: string) => answer(() => reject(new Error(`${INJECTED} ${label}: ${why}`)));
      const fate = network.fate();
      if (fate === "request lost") return fail("request lost");
      agenda.after(network.delayMs(), `${label} → ${this.name}`, () => {
        if (this.#down) return fail("the object is restarting");
        const gone = () => fail("the object is gone");
        this.#waiting.add(gone);
        const { instance } = this;
        const life = this.#life;
        invoke(instance).then(
          (value) => {
            if (!life.alive || !this.#waiting.delete(gone)) return;
            if (fate === "answer lost") fail("answer lost");
            else answer(() => resolve(value));
          },
          (error: unknown) => {
            if (!life.alive || !this.#waiting.delete(gone)) return;
            this.world.defect(`${this.name} ${label}: ${String(error)}`);
            fail(String(error));
          },
        );
      });
    });
  }

  /** Its memory is gone; sockets hibernate. */
  evict(): void {
    this.#end();
  }

  /** Its process is gone: memory and sockets. It comes back after a while, and what was due then rings. */
  kill(backInMs: number): void {
    this.#end();
    const sockets = this.#sockets.splice(0);
    for (const socket of sockets) socket.wire.serverGone();
    this.#down = true;
    this.#cancelAlarm();
    this.world.agenda.after(backInMs, `${this.name} is back`, () => {
      this.#down = false;
      if (this.disk.alarmAt !== null) this.#planAlarm(this.disk.alarmAt, 0);
    });
  }

  close(): void {
    this.#end();
    this.disk.close();
  }

  #end(): void {
    this.#life.alive = false;
    this.#instance = undefined;
    for (const gone of [...this.#waiting]) gone();
    this.#waiting.clear();
    this.#ringing?.();
  }

  #planAlarm(at: number, lateMs: number | "never"): void {
    this.#cancelAlarm();
    if (lateMs === "never" || this.#ringing) return;
    this.#cancelAlarm = this.world.agenda.after(at - this.world.agenda.now + lateMs, `alarm ${this.name}`, () =>
      this.#ring(at),
    );
  }

  /** One handler at a time, as the platform has it: an alarm that is due meanwhile waits for the one that rings. */
  #ring(at: number): void {
    if (this.#down || this.disk.alarmAt !== at || this.#ringing) return;
    this.disk.alarmAt = null;
    const { instance } = this;
    const life = this.#life;
    const over = () => {
      this.#ringing = undefined;
      if (this.disk.alarmAt !== null) this.#planAlarm(this.disk.alarmAt, 0);
    };
    // Killed in the middle: the platform rings again.
    const gone = () => {
      this.disk.alarmAt = Math.min(this.disk.alarmAt ?? Number.POSITIVE_INFINITY, this.world.agenda.now + 2_000);
      over();
    };
    this.#ringing = gone;
    this.#watch(
      life,
      "alarm",
      this.#rings(instance).finally(() => life.alive && over()),
    );
  }

  async #rings(instance: Instance): Promise<void> {
    for (let times = this.world.alarms.times(); times > 0; times--) await this.ring(instance);
  }

  #handle(label: string, work: (instance: Instance) => Promise<void>): void {
    if (this.#down) return;
    const { instance } = this;
    this.#watch(this.#life, label, work(instance));
  }

  #watch(life: Life, label: string, promise: Promise<unknown>): void {
    promise.catch((error: unknown) => {
      if (life.alive) this.world.defect(`${this.name} ${label}: ${error instanceof Error ? error.stack : error}`);
    });
  }
}
