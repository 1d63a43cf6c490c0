/**
 * The host's one SQLite file: outboxes, leases, runs. Everything that has to be true together is written in one
 * transaction; what must only happen once it is on disk (a frame leaves, a container starts) waits for the commit.
 *
 * `synchronous = FULL`: after a power cut no number may be given out a second time with another content, or the peer
 * would drop it as a duplicate.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/**
 * Free pages, and as much journal: what a daemon still has to write on a full disk (acknowledgements, words about its state,
 * the ends of runs) goes where there is room already. SQLite writes to its journal from the beginning again once
 * it has 4 MB of it (wal_autocheckpoint, 1,000 pages), and reuses free pages before the file grows.
 */
const RESERVE_BYTES = 5 * 1024 * 1024;

export class Database {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #open = false;
  #afterCommit: (() => void)[] = [];

  /** @param path a file, or `:memory:` */
  constructor(path: string) {
    this.#sqlite = new DatabaseSync(path);
    // Two daemons on one state folder are refused earlier (daemon-lock.ts); this is for the CLI reading beside a daemon.
    this.#sqlite.exec("PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
  }

  exec(sql: string): void {
    this.#sqlite.exec(sql);
  }

  /** A prepared statement, kept for the next time. */
  sql(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known) return known;
    const statement = this.#sqlite.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  /** Runs `work` (synchronous) in a transaction, or as part of the one that is open. A throw undoes all of it. */
  transaction<T>(work: () => T): T {
    if (this.#open) return work();
    this.#sqlite.exec("BEGIN IMMEDIATE");
    this.#open = true;
    let result: T;
    try {
      result = work();
      this.#sqlite.exec("COMMIT");
    } catch (error) {
      this.#afterCommit = [];
      this.#open = false;
      // SQLite has already rolled back by itself after some errors (a full disk among them).
      if (this.#sqlite.isTransaction) this.#sqlite.exec("ROLLBACK");
      throw error;
    }
    this.#open = false;
    const effects = this.#afterCommit;
    this.#afterCommit = [];
    for (const effect of effects) effect();
    return result;
  }

  /** Calls `effect` when the open transaction is on disk; at once when none is open. Not called after a rollback. */
  afterCommit(effect: () => void): void {
    if (this.#open) this.#afterCommit.push(effect);
    else effect();
  }

  /** For a daemon, which has to go on writing on a full disk. @throws SQLite's error when the disk has not even that */
  keepReserve(): void {
    this.transaction(() => {
      this.#sqlite.exec("CREATE TABLE reserve (bytes BLOB)");
      this.#sqlite.prepare("INSERT INTO reserve VALUES (zeroblob(?))").run(RESERVE_BYTES);
      this.#sqlite.exec("DROP TABLE reserve");
    });
  }

  close(): void {
    this.#statements.clear();
    if (this.#sqlite.isOpen) this.#sqlite.close();
  }
}

/** True for SQLite's own errors (disk full, I/O): trying again later may help, skipping would lose something. */
export function isDatabaseError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_SQLITE_ERROR";
}
