/** Answers to commands, kept so that the same command twice has the effect of once (SPEC [S-2]). */
import { createHash } from "node:crypto";
import { type Rejection, reject } from "#protocol/objects.ts";
import { upgrade } from "../shell/schema.ts";

const KEPT = 2_000;

export class Receipts {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    upgrade(storage, "receipts", [
      "CREATE TABLE IF NOT EXISTS receipt (n INTEGER PRIMARY KEY, command_id TEXT NOT NULL UNIQUE, fingerprint TEXT NOT NULL, answer TEXT NOT NULL)",
    ]);
  }

  /** The first answer to this command; a rejection when the id was used for something else; undefined when it is new. */
  find<T>(commandId: string, fingerprint: string): T | Rejection | undefined {
    const row = this.#sql
      .exec<{ fingerprint: string; answer: string }>(
        "SELECT fingerprint, answer FROM receipt WHERE command_id = ?",
        commandId,
      )
      .toArray()[0];
    if (!row) return undefined;
    if (row.fingerprint === fingerprint) return JSON.parse(row.answer) as T;
    return reject("idempotency_conflict", "This command id was already used for a different request. Use a new one.");
  }

  keep(commandId: string, fingerprint: string, answer: unknown): void {
    const { n } = this.#sql
      .exec<{ n: number }>(
        "INSERT INTO receipt (command_id, fingerprint, answer) VALUES (?, ?, ?) RETURNING n",
        commandId,
        fingerprint,
        JSON.stringify(answer),
      )
      .one();
    if (n > KEPT && n % 100 === 0) this.#sql.exec("DELETE FROM receipt WHERE n <= ?", n - KEPT);
  }
}

/** The same for the same request, whatever ids the server adds to it. */
export function fingerprint(request: unknown): string {
  return createHash("sha256").update(JSON.stringify(request)).digest("base64url");
}
