/**
 * Carries what an outbox owes to whom it is owed. Entries of one lane go one after the other; lanes do not wait for each
 * other, so that what is slow (D1) holds up nobody. What is put while a lane is at work joins it.
 */
import type { Outbox } from "./outbox.ts";

/** Calls that are under way together. Beyond that they only wait for each other elsewhere. */
const LANES_AT_ONCE = 16;

export type DeliveryNeeds = {
  /** @throws to have it tried again */
  deliver(key: string, body: unknown): Promise<void>;
  failed(key: string, error: unknown): void;
  /** Entries with the same answer are delivered in order. */
  laneOf(key: string): string;
};

/** `carrying`: until it has nothing left; nothing while it waits for its turn. */
type Lane = { waiting: Set<string>; carrying: boolean; done: PromiseWithResolvers<void> };

export class Deliveries {
  readonly #outbox: Outbox;
  readonly #needs: DeliveryNeeds;
  readonly #lanes = new Map<string, Lane>();
  #carrying = 0;

  constructor(outbox: Outbox, needs: DeliveryNeeds) {
    this.#outbox = outbox;
    this.#needs = needs;
  }

  /** Delivers these entries as far as they are due. Resolves when their lanes have nothing left to carry. */
  async carry(keys: readonly string[]): Promise<void> {
    const joined = new Set<Lane>();
    for (const key of keys) {
      const name = this.#needs.laneOf(key);
      const lane = this.#lanes.get(name) ?? { waiting: new Set(), carrying: false, done: Promise.withResolvers() };
      this.#lanes.set(name, lane);
      lane.waiting.add(key);
      joined.add(lane);
    }
    this.#begin();
    await Promise.all([...joined].map(({ done }) => done.promise));
  }

  #begin(): void {
    for (const [name, lane] of this.#lanes) {
      if (this.#carrying >= LANES_AT_ONCE) return;
      if (!lane.carrying) void this.#work(name, lane);
    }
  }

  async #work(name: string, lane: Lane): Promise<void> {
    lane.carrying = true;
    this.#carrying++;
    try {
      for (const key of lane.waiting) {
        lane.waiting.delete(key);
        if (await this.#one(key)) lane.waiting.add(key);
      }
      lane.done.resolve();
    } catch (error) {
      // The tables could not be read or written: whoever waits hears of it, and the entries come again with the alarm.
      lane.done.reject(error);
    }
    this.#carrying--;
    this.#lanes.delete(name);
    this.#begin();
  }

  /** True when it has to go once more at once: it was replaced under way. */
  async #one(key: string): Promise<boolean> {
    const owed = this.#outbox.read(key, Date.now());
    if (!owed) return false;
    try {
      await this.#needs.deliver(key, owed.body);
      return !this.#outbox.delivered(key, owed, Date.now());
    } catch (error) {
      this.#needs.failed(key, error);
      this.#outbox.failed(key, owed, Date.now());
      return false;
    }
  }
}
