/**
 * The host's side of a numbered link on disk: what was said and not acknowledged, and how far the peer was heard.
 * Numbering is per (link, epoch); a new epoch starts at 1 on both sides.
 */
import { plausibleAck, receive } from "#protocol/link.ts";
import type { Database } from "../database.ts";

export type OutboxRow = { n: number; body: string };

export function createOutboxTables(database: Database): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS link (
      link TEXT NOT NULL, epoch INTEGER NOT NULL, sent INTEGER NOT NULL, taken INTEGER NOT NULL, bytes INTEGER NOT NULL,
      PRIMARY KEY (link, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS outbox (
      link TEXT NOT NULL, epoch INTEGER NOT NULL, n INTEGER NOT NULL, bytes INTEGER NOT NULL, body TEXT NOT NULL,
      PRIMARY KEY (link, epoch, n)
    )`);
}

/** Messages that wait for an acknowledgement, over all links. */
export function outboxBacklog(database: Database): { messages: number; bytes: number } {
  return database.sql("SELECT count(*) AS messages, coalesce(sum(bytes), 0) AS bytes FROM outbox").get() as {
    messages: number;
    bytes: number;
  };
}

export class Outbox {
  readonly #database: Database;
  readonly #link: string;
  readonly #epoch: number;

  constructor(database: Database, link: string, epoch: number) {
    this.#database = database;
    this.#link = link;
    this.#epoch = epoch;
    database
      .sql("INSERT INTO link (link, epoch, sent, taken, bytes) VALUES (?, ?, 0, 0, 0) ON CONFLICT DO NOTHING")
      .run(link, epoch);
  }

  /** `sent`: highest number given out. `taken`: highest number of the peer. `bytes`: not acknowledged yet. */
  position(): { sent: number; taken: number; bytes: number } {
    const row = this.#database
      .sql("SELECT sent, taken, bytes FROM link WHERE link = ? AND epoch = ?")
      .get(this.#link, this.#epoch);
    return (row as { sent: number; taken: number; bytes: number } | undefined) ?? { sent: 0, taken: 0, bytes: 0 };
  }

  /** Stores the next message and answers its number. */
  append(body: string): number {
    return this.#database.transaction(() => {
      const n = this.position().sent + 1;
      const bytes = Buffer.byteLength(body);
      this.#database
        .sql("INSERT INTO outbox (link, epoch, n, bytes, body) VALUES (?, ?, ?, ?, ?)")
        .run(this.#link, this.#epoch, n, bytes, body);
      this.#database
        .sql("UPDATE link SET sent = ?, bytes = bytes + ? WHERE link = ? AND epoch = ?")
        .run(n, bytes, this.#link, this.#epoch);
      return n;
    });
  }

  /** Up to `limit` messages above `n`, in order. */
  after(n: number, limit: number): OutboxRow[] {
    return this.#database
      .sql("SELECT n, body FROM outbox WHERE link = ? AND epoch = ? AND n > ? ORDER BY n LIMIT ?")
      .all(this.#link, this.#epoch, n, limit) as OutboxRow[];
  }

  /** Deletes what the peer has. False when it acknowledges what was never sent. */
  acknowledge(ack: number): boolean {
    return this.#database.transaction(() => {
      if (!plausibleAck(this.position().sent, ack)) return false;
      const { changes } = this.#database
        .sql("DELETE FROM outbox WHERE link = ? AND epoch = ? AND n <= ?")
        .run(this.#link, this.#epoch, ack);
      if (Number(changes) > 0) this.#recount();
      return true;
    });
  }

  /** What an arriving number means here; only a "take" that was followed by [take] counts. */
  arriving(n: number): "take" | "duplicate" | "gap" {
    return receive(this.position().taken, n);
  }

  take(n: number): void {
    this.#database.sql("UPDATE link SET taken = ? WHERE link = ? AND epoch = ?").run(n, this.#link, this.#epoch);
  }

  /**
   * The peer has more than this disk remembers sending (a restored backup, a lost last write): numbering goes on above
   * it, because a number that the peer has seen would be dropped as a duplicate.
   */
  skipTo(sent: number): void {
    this.#database.transaction(() => {
      const rows = this.after(0, -1);
      this.#database.sql("DELETE FROM outbox WHERE link = ? AND epoch = ?").run(this.#link, this.#epoch);
      this.#database
        .sql("UPDATE link SET sent = ?, bytes = 0 WHERE link = ? AND epoch = ?")
        .run(sent, this.#link, this.#epoch);
      for (const row of rows) this.append(row.body);
    });
  }

  /** Forgets the link: its lease is over. */
  drop(): void {
    this.#database.transaction(() => {
      this.#database.sql("DELETE FROM outbox WHERE link = ? AND epoch = ?").run(this.#link, this.#epoch);
      this.#database.sql("DELETE FROM link WHERE link = ? AND epoch = ?").run(this.#link, this.#epoch);
    });
  }

  #recount(): void {
    this.#database
      .sql(
        "UPDATE link SET bytes = (SELECT coalesce(sum(bytes), 0) FROM outbox o WHERE o.link = link.link AND o.epoch = link.epoch) WHERE link = ? AND epoch = ?",
      )
      .run(this.#link, this.#epoch);
  }
}
