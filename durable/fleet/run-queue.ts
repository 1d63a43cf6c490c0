/** The runs of a pool that wait for a host: rows in, rows out. Whose turn it is, is decided elsewhere. */
import type { LeaseRequest } from "#protocol/objects.ts";
import type { WaitReason } from "#protocol/vocabulary.ts";
import type { Waiting } from "./placement.ts";

const TURNS_KEPT = 1_000;

export class RunQueue {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** A run that is queued already keeps its place; what its session knows by now counts. */
  add(request: LeaseRequest, now: number): void {
    this.#sql.exec(
      "INSERT INTO queue (run_id, session_id, request, enqueued_at, attempts, refused_by) VALUES (?, ?, ?, ?, 0, '[]') ON CONFLICT (run_id) DO UPDATE SET request = excluded.request",
      request.runId,
      request.sessionId,
      JSON.stringify(request),
      now,
    );
  }

  list(): (Waiting & { enqueuedAt: number })[] {
    return this.#sql
      .exec<{
        request: string;
        enqueued_at: number;
        attempts: number;
        refused_by: string;
        waiting_for: string | null;
        why: string | null;
      }>("SELECT * FROM queue ORDER BY enqueued_at, n")
      .toArray()
      .map((row) => ({
        request: JSON.parse(row.request) as LeaseRequest,
        enqueuedAt: row.enqueued_at,
        attempts: row.attempts,
        refusedBy: JSON.parse(row.refused_by) as Waiting["refusedBy"],
        waitingFor: row.waiting_for ?? undefined,
        why: (row.why ?? undefined) as WaitReason | undefined,
      }));
  }

  remove(sessionId: string, runId?: string): void {
    this.#sql.exec(
      "DELETE FROM queue WHERE session_id = ? AND (run_id = ? OR ? IS NULL)",
      sessionId,
      runId ?? null,
      runId ?? null,
    );
  }

  /** Drops what a session asked for before it knew of `epoch`; what it asks for afterwards is new. */
  removeServed(sessionId: string, epoch: number): void {
    this.#sql.exec(
      "DELETE FROM queue WHERE session_id = ? AND json_extract(request, '$.lastEpoch') < ?",
      sessionId,
      epoch,
    );
  }

  waiting(runId: string, waitingFor: string, why: WaitReason): void {
    this.#sql.exec("UPDATE queue SET waiting_for = ?, why = ? WHERE run_id = ?", waitingFor, why, runId);
  }

  /** When each person was last served, as a number that grows. */
  lastTurns(): Map<string, number> {
    const rows = this.#sql.exec<{ person: string; n: number }>("SELECT person, n FROM turn").toArray();
    return new Map(rows.map(({ person, n }) => [person, n]));
  }

  tookTurn(person: string): void {
    const { n } = this.#sql.exec<{ n: number }>("SELECT coalesce(max(n), 0) + 1 AS n FROM turn").one();
    this.#sql.exec(
      "INSERT INTO turn (person, n) VALUES (?, ?) ON CONFLICT (person) DO UPDATE SET n = excluded.n",
      person,
      n,
    );
    // Whoever has not been served for so many turns is first either way.
    this.#sql.exec("DELETE FROM turn WHERE n <= ?", n - TURNS_KEPT);
  }

  /** Answers how often the run has been refused by now. */
  refused(runId: string, refusal: { hostId: string; reason: string }): number {
    const [row] = this.#sql
      .exec<{ attempts: number }>(
        "UPDATE queue SET attempts = attempts + 1, refused_by = json_insert(refused_by, '$[#]', json(?)) WHERE run_id = ? RETURNING attempts",
        JSON.stringify(refusal),
        runId,
      )
      .toArray();
    return row?.attempts ?? 0;
  }

  forgetRefusals(hostId: string): void {
    for (const { request, refusedBy } of this.list()) {
      const kept = refusedBy.filter((refusal) => refusal.hostId !== hostId);
      if (kept.length < refusedBy.length)
        this.#sql.exec("UPDATE queue SET refused_by = ? WHERE run_id = ?", JSON.stringify(kept), request.runId);
    }
  }
}
