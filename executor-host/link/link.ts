/**
 * One numbered, acknowledged link of this host, over however many connections it takes (PROTOCOL [P-3] to [P-20]).
 *
 *   dialling ─open─► greeting ─welcome─► resuming ─resumed─► live      auth and resume go with the dial [P-40], or as
 *       ▲              (auth said)        (resume said)        │       frames when the server has not taken them there
 *       └──── waiting (jittered back-off) ◄──── any close ─────┘      a close that says "do not retry" ends the link
 *
 * connection.ts has the socket, exchange.ts the numbered messages; here stands which of them may happen when. Two orders
 * hold everywhere. Out: a message is on disk before it is sent, and stays there until acknowledged. In: what a
 * message changes on disk and the fact that it was taken are one transaction. A kill between any two steps loses nothing
 * and does nothing twice.
 */
import { type CloseName, closeByCode, ProtocolViolation } from "#protocol/close-codes.ts";
import { LIMITS } from "#protocol/limits.ts";
import { OLDEST_PROTOCOL_VERSION, PROTOCOL_VERSION, speaks } from "#protocol/version.ts";
import { backOffMs, type Clock } from "../clock.ts";
import type { Database } from "../database.ts";
import type { Logger } from "../logs.ts";
import { Connection } from "./connection.ts";
import { Exchange } from "./exchange.ts";
import type { Arrived } from "./frames.ts";
import type { Outbox } from "./outbox.ts";

/** Where to dial and as whom. `epoch` on a data link only. */
export type Target = { url: string; token: string; epoch?: number };
/** Why the link has ended for good; `reason` is the peer's text (for `stale_epoch`: the current epoch). */
export type LinkEnd = { name: CloseName | "unknown"; reason: string };
export type LinkState = "closed" | "waiting" | "dialling" | "greeting" | "resuming" | "live";

export type LinkNeeds = {
  database: Database;
  outbox: Outbox;
  clock: Clock;
  /** A number in [0, 1) for the jitter. */
  chance: () => number;
  logger: Logger;
  /**
   * Called before each attempt with the reason of the last close. A throw is a failed attempt; a throw of [LinkRefused]
   * ends the link.
   */
  target(lastClose: CloseName | "unknown" | undefined): Promise<Target>;
  /**
   * One message, in order, inside a transaction; effects outside the database go through `database.afterCommit`.
   * Throws ProtocolViolation when the message is not understood: it is logged and skipped.
   */
  take(message: unknown): void;
  /** Both sides have caught up; called on every reconnect. */
  live?(server: { now: number }): void;
  /** The link has ended and will not come back by itself. */
  ended?(end: LinkEnd): void;
};

/** There is no point in dialling again; only a person or a new lease can help. */
export class LinkRefused extends Error {
  readonly end: LinkEnd;

  constructor(end: LinkEnd) {
    super(end.reason);
    this.name = "LinkRefused";
    this.end = end;
  }
}

const SPOKEN = { protocol: PROTOCOL_VERSION, oldest: OLDEST_PROTOCOL_VERSION };
const auth = ({ token, epoch }: Target) => ({ type: "auth" as const, token, ...SPOKEN, epoch });
/** With `linkSilenceMs` before it still below `leaseMs`: a server that fails again and again costs no host its leases [P-39]. */
const RETRY = { baseMs: 250, maxMs: 4_000 } as const;
/** A connection has to last this long before the next failure counts as the first one again. */
const STEADY_MS = 5_000;

export class Link<Out extends { type: string }> {
  readonly #needs: LinkNeeds;
  readonly #exchange: Exchange;
  #state: LinkState = "closed";
  /** Counts attempts: a target that an earlier attempt still asks for is nobody's concern. */
  #attemptId = 0;
  #failures = 0;
  #connection: Connection | undefined;
  #cancelRetry: (() => void) | undefined;
  #lastClose: CloseName | "unknown" | undefined;
  /** The server knows already what `auth` and `resume` would say. */
  #introduced = false;
  #liveSince = 0;
  #serverNow = 0;

  constructor(needs: LinkNeeds) {
    this.#needs = needs;
    this.#exchange = new Exchange({
      database: needs.database,
      outbox: needs.outbox,
      clock: needs.clock,
      logger: needs.logger,
      take: (message) => needs.take(message),
      write: (text) => this.#connection?.write(text),
    });
  }

  get state(): LinkState {
    return this.#state;
  }

  start(): void {
    if (this.#state === "closed") void this.#dial();
  }

  /**
   * Stores the message and sends it as soon as the transaction it belongs to is on disk and the link is live.
   * @throws Error when it does not fit a frame: a defect of the caller, who has to split
   */
  send(message: Out): void {
    this.#exchange.send(message);
  }

  /** Resolves while less than LIMITS.unacknowledgedBytes wait for the peer: the reader of a stream stops until then. */
  room(): Promise<void> {
    return this.#exchange.until(() => this.#needs.outbox.position().bytes < LIMITS.unacknowledgedBytes);
  }

  /** Resolves when the peer has everything that was said so far. Also when the link closes: check [state]. */
  drained(): Promise<void> {
    return this.#exchange.until(() => this.#needs.outbox.after(0, 1).length === 0);
  }

  /**
   * Resolves when the peer has everything that was said so far, and only then: a link that has ended acknowledges nothing
   * any more. @throws the signal's reason when it fires first
   */
  async heard(signal: AbortSignal): Promise<void> {
    await this.drained();
    if (this.#needs.outbox.after(0, 1).length > 0 && !signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    signal.throwIfAborted();
  }

  /** Says goodbye; what is not acknowledged stays on disk for the next time. */
  close(): void {
    this.#shut("closed");
    this.#connection?.leave();
    this.#connection = undefined;
  }

  async #dial(): Promise<void> {
    const { clock, logger } = this.#needs;
    const attemptId = ++this.#attemptId;
    this.#state = "dialling";
    this.#exchange.begins();
    let target: Target;
    try {
      target = await this.#needs.target(this.#lastClose);
    } catch (error) {
      if (attemptId !== this.#attemptId) return;
      if (error instanceof LinkRefused) return this.#end(error.end);
      logger.warn({ err: error }, "could not prepare a connection");
      return this.#retry();
    }
    if (attemptId !== this.#attemptId) return;
    try {
      this.#connection = new Connection({
        url: target.url,
        introduction: JSON.stringify({ ...auth(target), received: this.#needs.outbox.position().taken }),
        clock,
        logger,
        opened: (introduced) => this.#greet(target, introduced),
        arrived: (frame) => this.#arrived(frame),
        closed: (code, reason) => this.#closed(code, reason),
      });
    } catch (error) {
      // An address that is none: the peer's mistake, and no reason to take the daemon down.
      logger.error({ err: error }, "cannot dial this address");
      this.#retry();
    }
  }

  #greet(target: Target, introduced: boolean): void {
    this.#state = "greeting";
    this.#introduced = introduced;
    if (!introduced) this.#connection?.write(JSON.stringify(auth(target)));
  }

  #arrived(frame: Arrived): void {
    switch (frame.kind) {
      case "welcome":
        this.#welcomed(frame);
        break;
      case "resumed":
        this.#resumed(frame.received);
        break;
      case "error":
        this.#needs.logger.error({ reason: frame.reason, detail: frame.message }, "the server reports an error");
        break;
      case "ack":
        this.#expectGreeted();
        this.#exchange.acknowledged(frame.ack);
        break;
      case "numbered":
        this.#expectGreeted();
        this.#exchange.acknowledged(frame.ack);
        this.#exchange.arrived(frame.n, frame.message);
        break;
      default:
        frame satisfies never;
    }
  }

  #welcomed({ protocol, now }: { protocol: number; now: number }): void {
    if (this.#state !== "greeting") throw new ProtocolViolation("protocol_violation", "welcome is not expected here");
    if (!speaks(protocol)) throw new ProtocolViolation("version", `the server speaks protocol ${protocol}`);
    this.#serverNow = now;
    this.#state = "resuming";
    if (this.#introduced) return;
    this.#connection?.write(JSON.stringify({ type: "resume", received: this.#needs.outbox.position().taken }));
  }

  #expectGreeted(): void {
    if (this.#state === "resuming" || this.#state === "live") return;
    throw new ProtocolViolation("protocol_violation", "a message before the welcome");
  }

  #resumed(received: number): void {
    if (this.#state !== "resuming") throw new ProtocolViolation("protocol_violation", "resumed is not expected here");
    this.#connection?.greeted();
    this.#state = "live";
    this.#liveSince = this.#needs.clock.now();
    this.#lastClose = undefined;
    this.#exchange.resumed(received);
    this.#needs.live?.({ now: this.#serverNow });
  }

  #closed(code: number, reason: string): void {
    const row = closeByCode(code);
    this.#needs.logger.info({ code, close: row.name, reason }, "connection closed");
    this.#connection = undefined;
    this.#lastClose = row.name;
    if (this.#state === "live" && this.#needs.clock.now() - this.#liveSince >= STEADY_MS) this.#failures = 0;
    if (row.retry) this.#retry();
    else this.#end({ name: row.name, reason });
  }

  #retry(): void {
    this.#shut("waiting");
    const delayMs = backOffMs(RETRY, this.#failures++, this.#needs.chance());
    this.#cancelRetry = this.#needs.clock.after(delayMs, () => void this.#dial());
  }

  #end(end: LinkEnd): void {
    this.#shut("closed");
    this.#needs.ended?.(end);
  }

  #shut(state: "closed" | "waiting"): void {
    this.#attemptId++;
    this.#state = state;
    this.#cancelRetry?.();
    if (state === "waiting") this.#exchange.interrupted();
    else this.#exchange.ends();
  }
}
