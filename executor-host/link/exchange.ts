/**
 * The numbered messages of a link over whatever connection there is. Out: on disk, then sent, in order, until it is
 * acknowledged. In: what a message changes on disk and the fact that it was taken are one transaction.
 */
import { ProtocolViolation } from "#protocol/close-codes.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { Clock } from "../clock.ts";
import { type Database, isDatabaseError } from "../database.ts";
import type { Logger } from "../logs.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import type { Outbox } from "./outbox.ts";

export type ExchangeNeeds = {
  database: Database;
  outbox: Outbox;
  clock: Clock;
  logger: Logger;
  /** One message, inside the transaction; a throw skips the message. */
  take(message: unknown): void;
  /** Text to the present connection. */
  write(text: string): void;
};

const ROWS_PER_READ = 64;
/** Room for `{"n":…,"ack":…,"message":…}` around a message. */
const ENVELOPE_BYTES = 128;

export class Exchange {
  readonly #needs: ExchangeNeeds;
  readonly #acks: Acknowledgements;
  /** Between "both sides have caught up" and the end of the connection. */
  #flows = false;
  /** The highest number written to the present connection. */
  #written = 0;
  #over = true;
  #waiters: { until: () => boolean; resolve: () => void }[] = [];

  constructor(needs: ExchangeNeeds) {
    this.#needs = needs;
    this.#acks = new Acknowledgements(needs.clock, () => needs.write(`{"ack":${needs.outbox.position().taken}}`));
  }

  /** @throws Error when it does not fit a frame: a defect of the caller, who has to split */
  send(message: { type: string }): void {
    const body = JSON.stringify(message);
    if (Buffer.byteLength(body) > LIMITS.frameBytes - ENVELOPE_BYTES) {
      throw new Error(`a ${message.type} message of ${body.length} characters does not fit a frame`);
    }
    this.#needs.outbox.append(body);
    this.#needs.database.afterCommit(() => this.#pump());
  }

  /** A connection is being made, from which answers may come. */
  begins(): void {
    this.#over = false;
  }

  /** The peer says how far it has heard us: everything above that is sent again. @throws ProtocolViolation */
  resumed(received: number): void {
    const { outbox, logger } = this.#needs;
    const { sent } = outbox.position();
    if (received > sent) {
      logger.warn({ received, sent }, "the server has more than this disk remembers");
      outbox.skipTo(received);
    }
    this.acknowledged(received);
    this.#written = received;
    this.#flows = true;
    this.#pump();
  }

  /** The connection is gone; another one will come. */
  interrupted(): void {
    this.#flows = false;
    this.#acks.settled();
  }

  /** No connection will come: whoever waits is let go. */
  ends(): void {
    this.interrupted();
    this.#over = true;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve();
  }

  /** @throws ProtocolViolation when it was never sent */
  acknowledged(ack: number): void {
    if (!this.#needs.outbox.acknowledge(ack)) {
      throw new ProtocolViolation("protocol_violation", "acknowledges what was never sent");
    }
    const ready = this.#waiters.filter((waiter) => waiter.until());
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }

  /** @throws ProtocolViolation when messages before it are missing; the database's own error */
  arrived(n: number, message: unknown): void {
    const { outbox, database, logger } = this.#needs;
    const verdict = outbox.arriving(n);
    if (verdict === "gap") throw new ProtocolViolation("gap", `message ${n} came too early`);
    if (verdict === "take") {
      try {
        database.transaction(() => {
          this.#needs.take(message);
          outbox.take(n);
        });
      } catch (error) {
        if (isDatabaseError(error)) throw error;
        // It would come again and again, and those behind it are innocent.
        logger.error({ err: error, n, type: typeOf(message) }, "a message was skipped");
        outbox.take(n);
      }
    }
    this.#acks.owe();
  }

  /** Resolves when `condition` holds, which is looked at after each acknowledgement, or when the link ends. */
  until(condition: () => boolean): Promise<void> {
    if (this.#over || condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ until: condition, resolve }));
  }

  /** Sends everything that the present connection has not carried yet. */
  #pump(): void {
    const { outbox, write } = this.#needs;
    while (this.#flows) {
      const rows = outbox.after(this.#written, ROWS_PER_READ);
      if (rows.length === 0) return;
      const { taken } = outbox.position();
      for (const { n, body } of rows) {
        this.#written = n;
        write(`{"n":${n},"ack":${taken},"message":${body}}`);
      }
      this.#acks.settled();
    }
  }
}

function typeOf(message: unknown): string {
  return typeof message === "object" && message !== null && "type" in message ? String(message.type).slice(0, 64) : "?";
}
