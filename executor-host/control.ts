/**
 * The control loop: one link to the pool. Facts go up on every connection and whenever they change; offers, revocations,
 * tokens and settings come down.
 */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { type FromHostControl, type HostFacts, type ToHostControl, toHostControl } from "#protocol/messages.ts";
import type { ReconcilerReport } from "#protocol/reconcile.ts";
import type { Clock } from "./clock.ts";
import type { Database } from "./database.ts";
import type { HostAccess } from "./link/access.ts";
import { Link, type LinkEnd, type LinkState } from "./link/link.ts";
import { Outbox } from "./link/outbox.ts";
import type { Logger } from "./logs.ts";
import type { Sessions } from "./session/sessions.ts";

export type ControlNeeds = {
  hostId: string;
  database: Database;
  access: HostAccess;
  clock: Clock;
  chance: () => number;
  logger: Logger;
  sessions: Pick<Sessions, "offer" | "revoke" | "leases">;
  drain(reason: string): void;
  drainOver(): void;
  config(update: Record<string, unknown>): void;
  /** Looks over what this host keeps of work that is over. */
  sweep(): Promise<ReconcilerReport[]>;
  ended(end: LinkEnd): void;
};

const FACTS_INTERVAL_MS = 60_000;
const SWEEP_INTERVAL_MS = 10 * 60_000;
const MIN_RENEW_MS = 10_000;

export class Control {
  readonly #needs: ControlNeeds;
  readonly #link: Link<FromHostControl>;
  #facts: (() => Promise<HostFacts>) | undefined;
  #lastFacts = "";
  #cancelFacts: (() => void) | undefined;
  #cancelRenewal: (() => void) | undefined;
  #cancelSweep: (() => void) | undefined;
  #sweeping = false;
  #closed = false;

  constructor(needs: ControlNeeds) {
    const { database, access, hostId } = needs;
    this.#needs = needs;
    this.#link = new Link<FromHostControl>({
      ...needs,
      outbox: new Outbox(database, `control/${hostId}`, 0),
      target: (lastClose) => access.dialControl(lastClose === "auth_rejected"),
      take: (message) => this.#take(message),
      live: (server) => {
        access.heardServerTime(server.now);
        this.#scheduleRenewal();
        void this.#tell("always");
      },
      ended: (end) => needs.ended(end),
    });
  }

  get state(): LinkState {
    return this.#link.state;
  }

  /** Who knows the facts: asks engines and toolkit. */
  factsFrom(facts: () => Promise<HostFacts>): void {
    this.#facts = facts;
  }

  start(): void {
    this.#link.start();
    this.#scheduleFacts();
    this.#scheduleSweep();
  }

  /** Part of the transaction that forgets what is given up: a lease, or the files of a worker that was stopped. */
  gaveUp(type: "lease.release" | "workspace.removed", of: { sessionId: string; epoch: number }): void {
    this.#link.send({ type, ...of });
  }

  /** Something about this host has changed: tells the pool unless it is the same as before. */
  async factsChanged(): Promise<void> {
    await this.#tell("if-changed");
  }

  /** Sweeps now, and again after SWEEP_INTERVAL_MS; the pool hears what was found. One at a time. */
  async sweep(): Promise<void> {
    if (this.#sweeping || this.#closed) return;
    this.#sweeping = true;
    this.#cancelSweep?.();
    try {
      const reports = await this.#needs.sweep();
      // Nobody listens: the next sweep finds it again, and old reports would pile up.
      if (!this.#closed && this.#link.state === "live") this.#link.send({ type: "reconciled", reports });
    } catch (error) {
      this.#needs.logger.error({ err: error }, "the sweep has failed");
    } finally {
      this.#sweeping = false;
      this.#scheduleSweep();
    }
  }

  /** Resolves when the pool has heard everything, or the link has closed. */
  drained(): Promise<void> {
    return this.#link.drained();
  }

  close(): void {
    this.#closed = true;
    this.#cancelFacts?.();
    this.#cancelSweep?.();
    this.#cancelRenewal?.();
    this.#link.close();
  }

  #take(message: unknown): void {
    const parsed = toHostControl.safeParse(message);
    if (!parsed.success) throw new ProtocolViolation("protocol_violation", parsed.error.message);
    this.#apply(parsed.data);
  }

  #apply(message: ToHostControl): void {
    const { sessions, database, access, logger } = this.#needs;
    switch (message.type) {
      case "assign": {
        const { sessionId, epoch, traceId } = message.assignment;
        const decision = sessions.offer(message.assignment);
        logger.info({ sessionId, epoch, traceId, ...decision }, "a session was offered");
        this.#link.send(
          decision.accept
            ? { type: "assign.accept", sessionId, epoch }
            : { type: "assign.reject", sessionId, epoch, reason: decision.reason },
        );
        break;
      }
      case "lease.revoked":
        sessions.revoke(message.sessionId, message.epoch, message.reason);
        break;
      case "drain":
        database.afterCommit(() => this.#needs.drain(message.reason));
        break;
      case "drain.over":
        database.afterCommit(() => this.#needs.drainOver());
        break;
      case "token":
        database.afterCommit(() => {
          access.renewed(message.token, message.expiresAt);
          this.#scheduleRenewal();
        });
        break;
      case "config_update":
        database.afterCommit(() => this.#needs.config(message.config));
        break;
      case "reconcile":
        database.afterCommit(() => void this.sweep());
        break;
      default:
        message satisfies never;
    }
  }

  async #tell(when: "always" | "if-changed"): Promise<void> {
    try {
      const facts = await this.#facts?.();
      const text = JSON.stringify(facts);
      // Unsent facts would only pile up: the next connection begins with fresh ones.
      if (!facts || this.#closed || this.#link.state !== "live" || (when === "if-changed" && text === this.#lastFacts))
        return;
      this.#lastFacts = text;
      this.#link.send({ type: "facts", facts, leases: this.#needs.sessions.leases() });
    } catch (error) {
      this.#needs.logger.error({ err: error }, "the host's facts could not be told");
    }
  }

  #scheduleSweep(): void {
    if (!this.#closed) this.#cancelSweep = this.#needs.clock.after(SWEEP_INTERVAL_MS, () => void this.sweep());
  }

  #scheduleFacts(): void {
    this.#cancelFacts = this.#needs.clock.after(FACTS_INTERVAL_MS, () => {
      this.#scheduleFacts();
      void this.#tell("if-changed");
    });
  }

  /** At half of the token's life. While the link is down nothing is asked: dialling gets a new token if it needs one. */
  #scheduleRenewal(): void {
    this.#cancelRenewal?.();
    const delayMs = Math.max(MIN_RENEW_MS, this.#needs.access.renewInMs());
    this.#cancelRenewal = this.#needs.clock.after(delayMs, () => {
      if (this.#link.state === "live") this.#link.send({ type: "token.renew" });
      this.#scheduleRenewal();
    });
  }
}
