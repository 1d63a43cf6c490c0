/**
 * Applies migrations/*.sql to the local D1, in order, each with its record in one transaction. The table is the one that
 * `wrangler d1 migrations apply` keeps, so that the two agree on what has been applied.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export type Statement = { sql: string; params: unknown[] };
/** Runs statements in one transaction and gives the rows of each. */
export type Transact = (statements: Statement[]) => Promise<Record<string, unknown>[][]>;

const CREATE_TABLE = `CREATE TABLE IF NOT EXISTS d1_migrations(
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)`;

/** Applies what is missing and gives the names of the files that were. Throws with the file's name when one fails. */
export async function applyMigrations(dir: string, transact: Transact): Promise<string[]> {
  const [, rows = []] = await transact([plain(CREATE_TABLE), plain("SELECT name FROM d1_migrations")]);
  const applied = new Set(rows.map((row) => row.name));
  const missing = readdirSync(dir)
    .filter((name) => name.endsWith(".sql") && !applied.has(name))
    .sort();
  for (const name of missing) {
    const record = { sql: "INSERT INTO d1_migrations(name) VALUES (?)", params: [name] };
    const statements = splitStatements(readFileSync(join(dir, name), "utf8")).map(plain);
    await transact([...statements, record]).catch((cause) => {
      throw new Error(`Migration ${name} failed: ${cause instanceof Error ? cause.message : cause}`, { cause });
    });
  }
  return missing;
}

/**
 * Splits SQL at the semicolons that end a statement: not those in strings, quoted names, comments, or the body of a
 * trigger (CREATE TRIGGER … BEGIN …; END). Comments are dropped.
 */
export function splitStatements(sql: string): string[] {
  const tokens = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\w+|;|[\s\S]/g;
  const statements: string[] = [];
  let current = "";
  let depth = 0;
  for (const [token] of sql.matchAll(tokens)) {
    if (token.startsWith("--") || token.startsWith("/*")) continue;
    const word = token.toUpperCase();
    const inTrigger = /^\s*CREATE\s+(TEMP\s+|TEMPORARY\s+)?TRIGGER\b/i.test(current);
    // CASE … END may stand in a trigger's body and closes with the same word.
    if (inTrigger && (word === "BEGIN" || word === "CASE")) depth++;
    if (inTrigger && word === "END") depth--;
    if (token === ";" && depth === 0) {
      if (current.trim() !== "") statements.push(current.trim());
      current = "";
    } else current += token;
  }
  if (current.trim() !== "") statements.push(current.trim());
  return statements;
}

function plain(sql: string): Statement {
  return { sql, params: [] };
}
