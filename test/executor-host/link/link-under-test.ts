/** One link of the host against a scripted peer: real sockets, a clock that stands still. */
import type { CloseName } from "#protocol/close-codes.ts";
import { Database } from "../../../executor-host/database.ts";
import { Link, type LinkEnd } from "../../../executor-host/link/link.ts";
import { createOutboxTables, Outbox } from "../../../executor-host/link/outbox.ts";
import { silentLogger } from "../../../executor-host/logs.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { Inbox } from "../../support/inbox.ts";
import { type DataPeer, ScriptedControlPlane } from "../../support/scripted-control-plane.ts";

type Out = { type: string; [key: string]: unknown };

export class LinkUnderTest {
  readonly plane: ScriptedControlPlane;
  readonly peer: DataPeer;
  readonly clock = new HeldClock();
  readonly database: Database;
  readonly outbox: Outbox;
  readonly link: Link<Out>;
  readonly taken = new Inbox<Out>();
  readonly ends = new Inbox<LinkEnd>();
  readonly lives = new Inbox<{ now: number }>();
  /** The reason of the last close, as each attempt was told. */
  readonly attempts: (CloseName | "unknown" | undefined)[] = [];
  url: string;
  /** What an attempt waits for before it knows where to dial. */
  beforeTarget: () => Promise<void> = async () => {};
  /** Called inside the transaction that takes a message. */
  onTake: (message: Out) => void = () => {};

  private constructor(plane: ScriptedControlPlane, database: Database, epoch: number) {
    this.plane = plane;
    this.peer = plane.data("ses_1");
    this.url = `${plane.socketUrl}/data/ses_1`;
    this.database = database;
    createOutboxTables(database);
    this.outbox = new Outbox(database, "ses_1", epoch);
    this.link = new Link<Out>({
      database,
      outbox: this.outbox,
      clock: this.clock,
      chance: () => 0.5,
      logger: silentLogger,
      target: async (lastClose) => {
        this.attempts.push(lastClose);
        await this.beforeTarget();
        return { url: this.url, token: "token-1", epoch };
      },
      take: (message) => {
        this.onTake(message as Out);
        database.afterCommit(() => this.taken.put(message as Out));
      },
      live: (server) => this.lives.put(server),
      ended: (end) => this.ends.put(end),
    });
  }

  static async make(options: { database?: Database; epoch?: number; plane?: ScriptedControlPlane } = {}) {
    const plane = options.plane ?? (await ScriptedControlPlane.start());
    return new LinkUnderTest(plane, options.database ?? new Database(":memory:"), options.epoch ?? 1);
  }

  /** Dials and waits until both sides have caught up. */
  async up(): Promise<this> {
    this.link.start();
    await this.lives.next();
    return this;
  }

  /** Waits for the back-off and lets it pass. */
  async redial(): Promise<void> {
    await this.clock.until(() => this.link.state === "waiting");
    this.clock.advance(15_000);
  }

  async stop(): Promise<void> {
    this.link.close();
    await this.plane.stop();
    this.database.close();
  }
}

export const say = (text: string): Out => ({ type: "say", text });
