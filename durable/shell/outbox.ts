/**
 * What an object owes to others (another object, D1): kept in a table until it was delivered, at least once. A later
 * entry under the same key replaces an earlier one that has not gone out yet.
 */
import { upgrade } from "./schema.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

export class Outbox {
  readonly #sql: SqlStorage;
  #changes = 0;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    upgrade(storage, "outbox", [
      "CREATE TABLE IF NOT EXISTS outbox (key TEXT PRIMARY KEY, body TEXT NOT NULL, attempts INTEGER NOT NULL, at INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID",
    ]);
  }

  /** Grows with every entry: something is owed that was not before. */
  get changes(): number {
    return this.#changes;
  }

  put(key: string, body: unknown, now: number): void {
    this.#changes++;
    this.#sql.exec(
      `INSERT INTO outbox (key, body, attempts, at, version) VALUES (?, ?, 0, ?, 1)
       ON CONFLICT (key) DO UPDATE SET body = excluded.body, attempts = 0, at = excluded.at, version = outbox.version + 1`,
      key,
      JSON.stringify(body),
      now,
    );
  }

  remove(key: string): void {
    this.#sql.exec("DELETE FROM outbox WHERE key = ?", key);
  }

  /** True while something under this key waits to be delivered. */
  owes(key: string): boolean {
    return this.#sql.exec("SELECT 1 FROM outbox WHERE key = ?", key).toArray().length > 0;
  }

  /** When the next delivery is due; undefined when nothing is owed. */
  nextAt(): number | undefined {
    return this.#sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM outbox").one().at ?? undefined;
  }

  /**
   * Delivers what is due, one entry after the other. One that fails is tried again later, with back-off, and does not
   * hold up the others. An entry that was replaced while it was under way stays.
   */
  async drain(
    now: () => number,
    deliver: (key: string, body: unknown) => Promise<void>,
    failed: (key: string, error: unknown) => void,
  ): Promise<void> {
    const due = this.#sql
      .exec<{ key: string; body: string; attempts: number; version: number }>(
        "SELECT key, body, attempts, version FROM outbox WHERE at <= ? ORDER BY at",
        now(),
      )
      .toArray();
    for (const { key, body, attempts, version } of due) {
      try {
        await deliver(key, JSON.parse(body));
        this.#sql.exec("DELETE FROM outbox WHERE key = ? AND version = ?", key, version);
      } catch (error) {
        failed(key, error);
        const retryAt = now() + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempts);
        this.#sql.exec(
          "UPDATE outbox SET attempts = attempts + 1, at = ? WHERE key = ? AND version = ?",
          retryAt,
          key,
          version,
        );
      }
    }
  }
}
