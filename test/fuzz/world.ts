/**
 * A whole small Gantry in one process under virtual time: real sessions and a real pool on the simulation's platform,
 * scripted hosts, people and pages, and a network with moods. Nothing in it is random but by its seed.
 */
import type { ObjectsEnv } from "../../durable/shell/env.ts";
import { Agenda } from "./agenda.ts";
import type { Life } from "./disk.ts";
import { FleetNode } from "./fleet-node.ts";
import { Host } from "./host.ts";
import { IndexDatabase } from "./index-database.ts";
import { Ledger } from "./ledger.ts";
import { CALM, Network } from "./network.ts";
import { Page } from "./page.ts";
import { People } from "./people.ts";
import { QueueWatch } from "./queue-watch.ts";
import { Random } from "./random.ts";
import { SessionNode } from "./session-node.ts";
import type { WireClient } from "./wire.ts";

const STARTED_AT = Date.UTC(2026, 0, 1);

export type Violation = { rule: string; what: string; at: number };

/** What the platform makes of alarms at the moment. */
class Alarms {
  readonly #random: Random;
  late = 0;
  twice = 0;
  never = 0;
  readonly seen = { late: 0, twice: 0, never: 0 };

  constructor(random: Random) {
    this.#random = random;
  }

  calm(): void {
    this.late = this.twice = this.never = 0;
  }

  lateMs(): number | "never" {
    if (this.#random.chance(this.never)) {
      this.seen.never++;
      return "never";
    }
    if (!this.#random.chance(this.late)) return 0;
    this.seen.late++;
    return this.#random.int(1_000, 90_000);
  }

  times(): number {
    const twice = this.#random.chance(this.twice);
    if (twice) this.seen.twice++;
    return twice ? 2 : 1;
  }
}

export class World {
  readonly seed: string;
  readonly agenda = new Agenda(STARTED_AT);
  readonly network: Network;
  readonly alarms: Alarms;
  readonly database = new IndexDatabase();
  readonly ledger: Ledger;
  readonly queueWatch: QueueWatch;
  readonly fleet: FleetNode;
  readonly sessions: SessionNode[];
  readonly hosts: Host[];
  readonly pages: Page[];
  readonly people: People;
  readonly mood = { slowStart: 0.02 };
  readonly violations: Violation[] = [];
  readonly faults = new Map<string, number>();
  readonly trace: string[] = [];
  /** Keeps the trace of the last things that happened. */
  tracing = false;

  constructor(seed: string) {
    this.seed = seed;
    const random = new Random(seed, "world");
    this.network = new Network(new Random(seed, "network"));
    this.alarms = new Alarms(new Random(seed, "alarms"));
    this.ledger = new Ledger(this);
    this.queueWatch = new QueueWatch(this);
    this.fleet = new FleetNode(this);
    this.sessions = named(random.int(1, 3), "ses").map((id) => new SessionNode(this, id));
    this.hosts = named(random.int(1, 3), "hst").map((id) => new Host(this, id, random.int(1, 2)));
    // One at least has what a run may ask for.
    for (const [index, host] of this.hosts.entries())
      if (index === 0 || random.chance(0.3)) host.labels = { zone: "a" };
    this.people = new People(this, new Random(seed, "people"));
    this.pages = this.sessions.map((session) => new Page(this, session));
    for (const host of this.hosts) {
      this.fleet.register(host.id, host.id);
      this.agenda.after(random.int(0, 2_000), `${host.id} starts`, () => host.boot());
    }
    for (const session of this.sessions) this.people.create(session);
  }

  session(id: string): SessionNode {
    const session = this.sessions.find((each) => each.sessionId === id);
    if (!session) throw new Error(`no session ${id}`);
    return session;
  }

  environment(life: Life): ObjectsEnv {
    return {
      FLEET: { getByName: () => this.fleet.stub(life) },
      DB: this.database.binding(),
      // Nothing here is old enough to be archived; a session that is deleted has nothing there.
      STORE: { list: async () => ({ objects: [] }) },
      SIGNING_KEY: "",
    } as unknown as ObjectsEnv;
  }

  /** What a client hears waits while its machine stands still, and is lost with its daemon. */
  through(host: Host, life: Life, client: WireClient): WireClient {
    return {
      opened: () => host.guarded(life, () => client.opened()),
      message: (text) => host.guarded(life, () => client.message(text)),
      closed: (code, reason) => host.guarded(life, () => client.closed(code, reason)),
    };
  }

  /** The host is down and comes back after a while. */
  crash(host: Host, what: "daemon" | "machine"): void {
    if (!host.up) return;
    host.crash(what);
    const backInMs = host.random.chance(0.5) ? host.random.int(500, 5_000) : host.random.int(10_000, 90_000);
    this.agenda.after(backInMs, `${host.id} is started again`, () => host.boot());
  }

  /** Faults stop: everything is up and well from here on. */
  heal(): void {
    this.network.mood = CALM;
    this.alarms.calm();
    this.database.out = false;
    this.mood.slowStart = 0;
    for (const host of this.hosts) {
      host.moody = 0;
      host.offlineAtStart = false;
      host.thaw();
      host.goBackToWork();
      host.boot();
      if (!host.ready) {
        host.ready = true;
        host.tellFacts();
      }
    }
    // An alarm that the platform has lost comes with the next start of its process, as measured on workerd.
    for (const object of [this.fleet, ...this.sessions]) object.kill(1_000);
    for (const page of this.pages) page.open();
    this.people.answersEverything = true;
  }

  count(fault: string): void {
    this.faults.set(fault, (this.faults.get(fault) ?? 0) + 1);
  }

  violation(rule: string, what: string): void {
    this.violations.push({ rule, what, at: this.agenda.now - STARTED_AT });
    this.note(`VIOLATION [${rule}] ${what}`);
  }

  /** Something threw where nothing may. */
  defect(what: string): void {
    this.violation("defect", what);
  }

  note(text: string): void {
    if (!this.tracing) return;
    this.trace.push(`${((this.agenda.now - STARTED_AT) / 1_000).toFixed(3).padStart(10)}  ${text}`);
  }

  close(): void {
    for (const object of [this.fleet, ...this.sessions]) object.close();
    this.database.close();
  }
}

function named(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}_${"abcdef".charAt(index).repeat(20)}`);
}
