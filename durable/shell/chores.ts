/**
 * What an object still has to do after a turn: deadlines that will pass, deliveries that are owed. One alarm serves
 * both, and a chore that fails never starves the others.
 */
import { Deadlines } from "./deadlines.ts";
import { errorText, log } from "./log.ts";
import { Outbox } from "./outbox.ts";

export type ChoreNeeds = {
  component: string;
  /** Delivers one outbox entry. @throws to have it tried again */
  deliver(key: string, body: unknown): Promise<void>;
  /** A deadline has passed; it was cleared before. */
  deadline(name: string, now: number): void;
};

export class Chores {
  readonly deadlines: Deadlines;
  readonly outbox: Outbox;
  readonly #needs: ChoreNeeds;
  #draining: Promise<void> | undefined;
  /** What had been set and put when it was last settled; nothing yet in this instance. */
  #settled = -1;

  constructor(storage: DurableObjectStorage, needs: ChoreNeeds) {
    this.deadlines = new Deadlines(storage);
    this.outbox = new Outbox(storage);
    this.#needs = needs;
  }

  /**
   * Whether `settle` has anything to do. It has after the first turn of an instance, and whenever something was set or
   * is owed since; most turns are neither, and cost nothing here.
   */
  get unsettled(): boolean {
    return this.#settled < this.#changes;
  }

  /** Delivers what is owed and sees to it that the alarm rings for the rest. Call after every turn that left it unsettled. */
  async settle(): Promise<void> {
    const seen = this.#changes;
    // Armed before the deliveries: whatever happens to this instance meanwhile, the alarm comes back to them.
    await this.deadlines.arm(this.outbox.nextAt());
    this.#draining ??= this.#drain().finally(() => {
      this.#draining = undefined;
    });
    await this.#draining;
    await this.deadlines.arm(this.outbox.nextAt());
    this.#settled = Math.max(this.#settled, seen);
  }

  /**
   * Finds out whether the alarm is lost: none is set for what waits, or it should have rung long ago. Then everything
   * that is due happens now, and the alarm is set again.
   * @returns what was wrong, or undefined
   */
  async rearm(now: number): Promise<"alarm_lost" | "alarm_overdue" | undefined> {
    const state = await this.deadlines.alarmState(now, this.outbox.nextAt());
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
    await this.settle();
  }

  async #drain(): Promise<void> {
    await this.outbox.drain(
      () => Date.now(),
      (key, body) => this.#needs.deliver(key, body),
      (key, error) =>
        log("warn", this.#needs.component, "a delivery failed and will be repeated", { key, error: errorText(error) }),
    );
  }
}
