/**
 * The platform port of the simulation: the few calls that the objects make to a Durable Object's storage, over SQLite in
 * memory. What is written outlives the instance that wrote it; an instance that was killed cannot write any more.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** One instance of an object, from its construction until it is evicted or killed. */
export type Life = { alive: boolean };

export class Disk {
  readonly #database = new DatabaseSync(":memory:");
  readonly #statements = new Map<string, StatementSync>();
  readonly #alarmSet: (at: number) => void;
  #depth = 0;
  /** Grows with every statement that may have changed something. */
  changes = 0;
  alarmAt: number | null = null;

  /** @param alarmSet the alarm was set or moved; `alarmAt` says to when */
  constructor(alarmSet: (at: number) => void) {
    this.#alarmSet = alarmSet;
  }

  rows<T>(sql: string, ...values: unknown[]): T[] {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement.all(...(values as (string | number | null)[])) as T[];
  }

  close(): void {
    this.#database.close();
  }

  /** This disk as one instance sees it. */
  storage(life: Life): DurableObjectStorage {
    const guard = () => {
      if (!life.alive) throw new Error("an instance that is gone has touched its storage");
    };
    const exec = (sql: string, ...values: unknown[]) => {
      guard();
      if (!sql.startsWith("SELECT")) this.changes++;
      return cursor(this.rows(sql, ...values));
    };
    return {
      sql: { exec },
      transactionSync: <T>(work: () => T): T => {
        guard();
        return this.#transaction(work);
      },
      getAlarm: async () => this.alarmAt,
      setAlarm: async (at: number) => {
        guard();
        this.alarmAt = at;
        this.#alarmSet(at);
      },
    } as unknown as DurableObjectStorage;
  }

  #transaction<T>(work: () => T): T {
    const name = `level${this.#depth++}`;
    this.rows(`SAVEPOINT ${name}`);
    try {
      const result = work();
      this.rows(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.rows(`ROLLBACK TO ${name}`);
      this.rows(`RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }
}

function cursor<T>(rows: T[]): { toArray(): T[]; one(): T; [Symbol.iterator](): Iterator<T> } {
  return {
    toArray: () => rows,
    one: () => {
      const [row] = rows;
      if (row === undefined || rows.length > 1) throw new Error(`expected one row, got ${rows.length}`);
      return row;
    },
    [Symbol.iterator]: () => rows.values(),
  };
}
