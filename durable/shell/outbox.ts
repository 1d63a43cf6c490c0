/**
 * What an object owes to others (another object, D1): kept in a table until it was delivered, at least once. A later
 * entry under the same key replaces an earlier one that has not gone out yet. Who delivers when, is deliveries.ts.
 *
 * That an entry has arrived is no reason to write: its row leaves with the next one that is put, in the same transaction, or
 * with the alarm that was set for it. An instance that goes before that leaves the row, and it is delivered once more.
 */
import { upgrade } from "./schema.ts";

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 60_000;

export type Owed = { body: unknown; attempts: number; version: number };

export class Outbox {
  readonly #sql: SqlStorage;
  #changes = 0;
  /** What was put since somebody last asked; nothing that an earlier instance left. */
  #fresh = new Set<string>();
  /** Keys whose entries have arrived; their rows are still there. */
  readonly #arrived = new Set<string>();

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

  /** @param at when it is due, in milliseconds since 1970. An entry that is there already keeps its time if that is sooner */
  put(key: string, body: unknown, at: number): void {
    this.sweep();
    this.#changes++;
    this.#fresh.add(key);
    this.#sql.exec(
      `INSERT INTO outbox (key, body, attempts, at, version) VALUES (?, ?, 0, ?, 1)
       ON CONFLICT (key) DO UPDATE SET body = excluded.body, attempts = 0, at = min(outbox.at, excluded.at), version = outbox.version + 1`,
      key,
      JSON.stringify(body),
      at,
    );
  }

  /** Takes out what has arrived. Taken back with its transaction, a row is there again and goes out again. */
  sweep(): void {
    if (this.#arrived.size === 0) return;
    this.#sql.exec("DELETE FROM outbox WHERE key IN (SELECT value FROM json_each(?))", this.#arrivedKeys());
    this.#arrived.clear();
  }

  remove(key: string): void {
    this.#arrived.delete(key);
    this.#sql.exec("DELETE FROM outbox WHERE key = ?", key);
  }

  /** True while something under this key waits to be delivered. */
  owes(key: string): boolean {
    return !this.#arrived.has(key) && this.#sql.exec("SELECT 1 FROM outbox WHERE key = ?", key).toArray().length > 0;
  }

  /**
   * When somebody has to look at this table again; undefined when nothing is owed.
   * @param patienceMs how long what is due may take that is being delivered right now
   */
  nextAt(now: number, patienceMs: number): number | undefined {
    const { at } = this.#sql
      .exec<{ at: number | null }>(
        "SELECT min(CASE WHEN at <= ? THEN ? ELSE at END) AS at FROM outbox WHERE key NOT IN (SELECT value FROM json_each(?))",
        now,
        now + patienceMs,
        this.#arrivedKeys(),
      )
      .one();
    return at ?? undefined;
  }

  /** The keys that were put since the last call. Each may not be due yet, or gone again with its transaction. */
  takeFresh(): string[] {
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    return fresh;
  }

  /** Everything that is due, in the order in which it became so. */
  due(now: number): string[] {
    return this.#sql
      .exec<{ key: string }>("SELECT key FROM outbox WHERE at <= ? ORDER BY at, key", now)
      .toArray()
      .map(({ key }) => key)
      .filter((key) => !this.#arrived.has(key));
  }

  /** The entry, when it is due. */
  read(key: string, now: number): Owed | undefined {
    if (this.#arrived.has(key)) return undefined;
    const [row] = this.#sql
      .exec<{ body: string; attempts: number; version: number }>(
        "SELECT body, attempts, version FROM outbox WHERE key = ? AND at <= ?",
        key,
        now,
      )
      .toArray();
    return row && { ...row, body: JSON.parse(row.body) };
  }

  /** It has arrived. One that was replaced meanwhile stays, and is due: answers false. */
  delivered(key: string, { version }: Owed, now: number): boolean {
    const [row] = this.#sql.exec<{ version: number }>("SELECT version FROM outbox WHERE key = ?", key).toArray();
    if (row?.version === version) this.#arrived.add(key);
    return this.read(key, now) === undefined;
  }

  #arrivedKeys(): string {
    return JSON.stringify([...this.#arrived]);
  }

  /** It has not arrived, and is tried again with back-off. */
  failed(key: string, { attempts, version }: Owed, now: number): void {
    this.#changes++;
    this.#sql.exec(
      "UPDATE outbox SET attempts = attempts + 1, at = ? WHERE key = ? AND version = ?",
      now + Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempts),
      key,
      version,
    );
  }
}
