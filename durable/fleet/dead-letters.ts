/** Runs that a pool could not carry to an end, for its operators: the newest ones, until there are too many. */
import { LIMITS } from "#protocol/limits.ts";
import type { DeadLetter } from "#protocol/objects.ts";

export class DeadLetters {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** Told twice, it is there once. */
  add(letter: DeadLetter): void {
    this.#sql.exec(
      "INSERT INTO dead_letter (run_id, letter, failed_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
      letter.runId,
      JSON.stringify(letter),
      letter.failedAt,
    );
    this.#sql.exec(
      "DELETE FROM dead_letter WHERE run_id IN (SELECT run_id FROM dead_letter ORDER BY failed_at DESC, run_id LIMIT -1 OFFSET ?)",
      LIMITS.deadLetters,
    );
  }

  /** The first redrive counts. */
  redriven(runId: string, as: string, now: number): void {
    this.#sql.exec(
      "UPDATE dead_letter SET redriven_as = ?, redriven_at = ? WHERE run_id = ? AND redriven_as IS NULL",
      as,
      now,
      runId,
    );
  }

  /** The newest first. */
  list(): DeadLetter[] {
    return this.#sql
      .exec<{ letter: string; redriven_as: string | null; redriven_at: number | null }>(
        "SELECT letter, redriven_as, redriven_at FROM dead_letter ORDER BY failed_at DESC, run_id",
      )
      .toArray()
      .map(({ letter, redriven_as, redriven_at }) => ({
        ...(JSON.parse(letter) as DeadLetter),
        ...(redriven_as === null ? {} : { redrivenAs: redriven_as, redrivenAt: redriven_at ?? 0 }),
      }));
  }
}
