/**
 * Many named deadlines over the one alarm of an object. They live in a table, so they survive eviction and restart;
 * the alarm is always at, or before, the earliest of them. An alarm that comes too early costs one look.
 */
import { upgrade } from "./schema.ts";

/** An alarm that is later than this has not been kept; the platform promises seconds. */
const OVERDUE_MS = 30_000;

export class Deadlines {
  readonly #storage: DurableObjectStorage;
  /** What the alarm is set to, as far as this instance knows; undefined until it was read. */
  #alarmAt: number | null | undefined;
  #changes = 0;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    upgrade(storage, "deadlines", [
      "CREATE TABLE IF NOT EXISTS deadline (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    ]);
  }

  /** Grows whenever the alarm may have to be set anew. */
  get changes(): number {
    return this.#changes;
  }

  /** Sets or moves a deadline. `"if-sooner"` keeps one that is already earlier. */
  set(name: string, at: number, mode: "replace" | "if-sooner" = "replace"): void {
    this.#changes++;
    const keep = mode === "if-sooner" ? " WHERE excluded.at < deadline.at" : "";
    this.#storage.sql.exec(
      `INSERT INTO deadline (name, at) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at${keep}`,
      name,
      at,
    );
  }

  clear(name: string): void {
    this.#storage.sql.exec("DELETE FROM deadline WHERE name = ?", name);
  }

  at(name: string): number | undefined {
    return this.#storage.sql.exec<{ at: number }>("SELECT at FROM deadline WHERE name = ?", name).toArray()[0]?.at;
  }

  /** The names that are due, earliest first. They stay until cleared or set again. */
  due(now: number): string[] {
    return this.#storage.sql
      .exec<{ name: string }>("SELECT name FROM deadline WHERE at <= ? ORDER BY at, name", now)
      .toArray()
      .map((row) => row.name);
  }

  /**
   * Makes sure that the alarm rings in time; call once after every turn that may have set something.
   * @param also a moment that some other part waits for
   */
  async arm(also?: number): Promise<void> {
    const first = this.#storage.sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM deadline").one().at;
    const wanted = first === null ? also : also === undefined ? first : Math.min(first, also);
    if (wanted === undefined) return;
    if (this.#alarmAt === undefined) this.#alarmAt = await this.#storage.getAlarm();
    // An earlier alarm is left alone: it costs one wake, moving it would cost a row each time.
    if (this.#alarmAt !== null && this.#alarmAt <= wanted) return;
    this.#alarmAt = wanted;
    await this.#storage.setAlarm(wanted);
  }

  /** What the platform says of the alarm, whatever this instance believes. @param also as in [arm] */
  async alarmState(now: number, also?: number): Promise<"fine" | "alarm_lost" | "alarm_overdue"> {
    const first = this.#storage.sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM deadline").one().at;
    const wanted = Math.min(first ?? Number.POSITIVE_INFINITY, also ?? Number.POSITIVE_INFINITY);
    // What is due this very moment may be on its way, and what was set in this turn is armed at its end.
    if (wanted > now + OVERDUE_MS) {
      const set = await this.#storage.getAlarm();
      return wanted !== Number.POSITIVE_INFINITY && (set === null || set > wanted + OVERDUE_MS) ? "alarm_lost" : "fine";
    }
    if (wanted > now - OVERDUE_MS) return "fine";
    return (await this.#storage.getAlarm()) === null ? "alarm_lost" : "alarm_overdue";
  }

  /** The alarm has rung: whatever was set is gone. */
  rang(): void {
    this.#changes++;
    this.#alarmAt = null;
  }
}
