import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { applyMigrations, splitStatements, type Transact } from "../../../executor-host/local/migrate.ts";

describe("splitting SQL", () => {
  it.each([
    ["two statements", "SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]],
    ["no semicolon at the end", "SELECT 1", ["SELECT 1"]],
    ["semicolons in strings and names", `SELECT 'a;''b;', "c;", \`d;\`;`, [`SELECT 'a;''b;', "c;", \`d;\``]],
    ["semicolons in comments", "SELECT 1 -- one; two\n; /* ; */ SELECT 2", ["SELECT 1", "SELECT 2"]],
    ["breakpoints of drizzle", "SELECT 1;\n--> statement-breakpoint\nSELECT 2;", ["SELECT 1", "SELECT 2"]],
    [
      "a trigger's body",
      "CREATE TRIGGER t BEFORE UPDATE ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 3; END; SELECT 4",
      ["CREATE TRIGGER t BEFORE UPDATE ON a BEGIN SELECT CASE WHEN 1 THEN 2 END; SELECT 3; END", "SELECT 4"],
    ],
    ["nothing", " -- only a comment\n", []],
  ])("%s", (_, sql, statements) => {
    expect(splitStatements(sql)).toEqual(statements);
  });
});

describe("migrations", () => {
  let dir: string;
  let db: DatabaseSync;
  const transact: Transact = async (statements) => {
    db.exec("BEGIN");
    try {
      const rows = statements.map(({ sql, params }) => db.prepare(sql).all(...(params as SQLInputValue[])));
      db.exec("COMMIT");
      return rows;
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  };
  const file = (name: string, sql: string) => writeFileSync(join(dir, name), sql);

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "gantry-migrations-"));
    db = new DatabaseSync(":memory:");
    file("0001_b.sql", "INSERT INTO a VALUES (1);");
    file("0000_a.sql", "CREATE TABLE a(x);");
    file("notes.md", "not SQL");
  });
  afterEach(() => {
    db.close();
    rmSync(dir, { recursive: true });
  });

  it("applies each file once, in the order of the names", async () => {
    expect(await applyMigrations(dir, transact)).toEqual(["0000_a.sql", "0001_b.sql"]);
    file("0002_c.sql", "INSERT INTO a VALUES (2)");
    expect(await applyMigrations(dir, transact)).toEqual(["0002_c.sql"]);
    expect(db.prepare("SELECT x FROM a").all()).toEqual([{ x: 1 }, { x: 2 }]);
  });

  it("leaves nothing of a file that fails, and names it", async () => {
    file("0002_bad.sql", "INSERT INTO a VALUES (2); INSERT INTO missing VALUES (3);");
    await expect(applyMigrations(dir, transact)).rejects.toThrow("0002_bad.sql");
    expect(db.prepare("SELECT x FROM a").all()).toEqual([{ x: 1 }]);
    expect(db.prepare("SELECT name FROM d1_migrations").all()).toHaveLength(2);
  });
});
