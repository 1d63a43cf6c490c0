/** The platform port for D1: what drizzle asks of it, over SQLite in memory with the real migration's tables. It may be out. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

const migrations = join(import.meta.dirname, "..", "..", "migrations");
const tables = readdirSync(migrations)
  .filter((name) => name.endsWith(".sql"))
  .sort()
  .flatMap((name) => readFileSync(join(migrations, name), "utf8").split("--> statement-breakpoint"))
  .filter((statement) => /(TABLE|ON) `(sessions|runs|human_loop|snapshots)`/.test(statement));

export class IndexDatabase {
  // Organisations and users have no rows here.
  readonly #database = new DatabaseSync(":memory:", { enableForeignKeyConstraints: false });
  readonly #statements = new Map<string, StatementSync>();
  out = false;

  constructor() {
    for (const statement of tables) this.#database.exec(statement);
  }

  rows<T>(sql: string, ...values: unknown[]): T[] {
    let statement = this.#statements.get(sql);
    if (!statement) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement.all(...(values.map(bound) as (string | number | null)[])) as T[];
  }

  close(): void {
    this.#database.close();
  }

  binding(): D1Database {
    const run = async (sql: string, values: unknown[]) => {
      if (this.out) throw new Error("D1_ERROR: the database is out");
      return this.rows<Record<string, unknown>>(sql, ...values);
    };
    const statement = (sql: string, values: unknown[]): unknown => ({
      bind: (...given: unknown[]) => statement(sql, given),
      run: async () => ({ success: true, results: await run(sql, values) }),
      all: async () => ({ success: true, results: await run(sql, values) }),
      raw: async () => (await run(sql, values)).map((row) => Object.values(row)),
    });
    return { prepare: (sql: string) => statement(sql, []) } as unknown as D1Database;
  }
}

const bound = (value: unknown): unknown => (typeof value === "boolean" ? Number(value) : (value ?? null));
