/**
 * What an object still has to do after a turn: deadlines that will pass, deliveries that are owed. One alarm serves
 * both, and a chore that fails never starves the others.
 */
import { Deadlines } from "./deadlines.ts";
import { Deliveries } from "./deliveries.ts";
import { errorText, log } from "./log.ts";
import { Outbox } from "./outbox.ts";

/**
 * What is being delivered is looked at again after this time, in case the instance that was at it is gone and nothing else has
 * woken the object since. Long enough that the alarm rarely has to be moved for it, which is a write before the turn's own.
 */
const PATIENCE_MS = 10_000;

export type ChoreNeeds = {
  component: string;
  /** Delivers one outbox entry. @throws to have it tried again */
  deliver(key: string, body: unknown): Promise<void>;
  /** Entries with the same answer are delivered one after the other, in order. */
  laneOf(key: string): string;
  /** A deadline has passed; it was cleared before. */
  deadline(name: string, now: number): void;
};

export class Chores {
  readonly deadlines: Deadlines;
  readonly outbox: Outbox;
  readonly #needs: ChoreNeeds;
  readonly #deliveries: Deliveries;
  /** What had been set and put when it was last settled; nothing yet in this instance. */
  #settled = -1;
  /** What earlier instances left is taken up once; later on the alarm says when something old is due. */
  #begun = false;

  constructor(storage: DurableObjectStorage, needs: ChoreNeeds) {
    this.deadlines = new Deadlines(storage);
    this.outbox = new Outbox(storage);
    this.#needs = needs;
    this.#deliveries = new Deliveries(this.outbox, {
      deliver: (key, body) => needs.deliver(key, body),
      laneOf: (key) => needs.laneOf(key),
      failed: (key, error) =>
        log("warn", needs.component, "a delivery failed and will be repeated", { key, error: errorText(error) }),
    });
  }

  /**
   * Whether `settle` has anything to do. It has after the first turn of an instance, and whenever something was set or
   * is owed since; most turns are neither, and cost nothing here.
   */
  get unsettled(): boolean {
    return this.#settled < this.#changes;
  }

  /**
   * Delivers what is owed and sees to it that the alarm rings for the rest. Call after every turn that left it unsettled.
   * Resolves when nothing is under way.
   */
  async settle(): Promise<void> {
    const seen = this.#changes;
    // Armed before the deliveries: whatever happens to this instance meanwhile, the alarm comes back to them.
    let now = Date.now();
    await this.#arm(now);
    await this.#deliver(this.#begun ? this.outbox.takeFresh() : this.outbox.due(now));
    now = Date.now();
    // What was not due yet when it was looked at may be so by now. It is under way nowhere, and the alarm would have patience.
    for (let due = this.outbox.due(now); due.length > 0; due = this.outbox.due(now)) {
      await this.#deliver(due);
      now = Date.now();
    }
    await this.#arm(now);
    this.#settled = Math.max(this.#settled, seen);
  }

  /**
   * Finds out whether the alarm is lost: none is set for what waits, or it should have rung long ago. Then everything
   * that is due happens now, and the alarm is set again.
   * @returns what was wrong, or undefined
   */
  async rearm(now: number): Promise<"alarm_lost" | "alarm_overdue" | undefined> {
    const state = await this.deadlines.alarmState(now, this.outbox.nextAt(now, 0));
    if (state === "fine") return undefined;
    await this.alarm(now);
    return state;
  }

  get #changes(): number {
    return this.deadlines.changes + this.outbox.changes;
  }

  /** The alarm has rung: every due deadline in its own turn. */
  async alarm(now: number): Promise<void> {
    this.deadlines.rang();
    for (const name of this.deadlines.due(now)) {
      this.deadlines.clear(name);
      try {
        this.#needs.deadline(name, now);
      } catch (error) {
        log("error", this.#needs.component, "a deadline failed", { name, error: errorText(error) });
      }
    }
    // Not armed before: an alarm whose handler did not come to its end rings again by itself.
    await this.#deliver(this.outbox.due(now));
    await this.settle();
    this.outbox.sweep();
  }

  async #deliver(keys: readonly string[]): Promise<void> {
    this.#begun = true;
    await this.#deliveries.carry(keys);
  }

  async #arm(now: number): Promise<void> {
    await this.deadlines.arm(this.outbox.nextAt(now, PATIENCE_MS));
  }
}
