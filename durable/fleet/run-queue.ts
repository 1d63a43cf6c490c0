/**
 * The runs of a pool that wait for a host: rows in, rows out. Whose turn it is, is decided elsewhere. A placement looks at all
 * of them, so they are in memory, too: read once, and changed where the table is.
 */
import type { LeaseRequest } from "#protocol/objects.ts";
import type { WaitReason } from "#protocol/vocabulary.ts";
import type { Waiting } from "./placement.ts";

const TURNS_KEPT = 1_000;

type Entry = Waiting & { enqueuedAt: number };
type Row = {
  run_id: string;
  request: string;
  enqueued_at: number;
  attempts: number;
  refused_by: string;
  waiting_for: string | null;
  why: string | null;
};

export class RunQueue {
  readonly #sql: SqlStorage;
  /** By run, in the order in which they came. Entries are replaced, never changed: whoever has the list keeps it as it was. */
  #entries: Map<string, Entry> | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
  }

  /** A run that is queued already keeps its place; what its session knows by now counts. */
  add(request: LeaseRequest, now: number): void {
    const known = this.#all().get(request.runId);
    this.#sql.exec(
      "INSERT INTO queue (run_id, session_id, request, enqueued_at, attempts, refused_by) VALUES (?, ?, ?, ?, 0, '[]') ON CONFLICT (run_id) DO UPDATE SET request = excluded.request",
      request.runId,
      request.sessionId,
      JSON.stringify(request),
      now,
    );
    const entry = known ?? { enqueuedAt: now, attempts: 0, refusedBy: [] };
    this.#all().set(request.runId, { ...entry, request });
  }

  list(): Entry[] {
    return [...this.#all().values()];
  }

  remove(sessionId: string, runId?: string): void {
    this.#sql.exec(
      "DELETE FROM queue WHERE session_id = ? AND (run_id = ? OR ? IS NULL)",
      sessionId,
      runId ?? null,
      runId ?? null,
    );
    this.#forget(({ request }) => request.sessionId === sessionId && (runId === undefined || request.runId === runId));
  }

  /** Drops what a session asked for before it knew of `epoch`; what it asks for afterwards is new. */
  removeServed(sessionId: string, epoch: number): void {
    this.#sql.exec(
      "DELETE FROM queue WHERE session_id = ? AND json_extract(request, '$.lastEpoch') < ?",
      sessionId,
      epoch,
    );
    this.#forget(({ request }) => request.sessionId === sessionId && request.lastEpoch < epoch);
  }

  waiting(runId: string, waitingFor: string, why: WaitReason): void {
    this.#sql.exec("UPDATE queue SET waiting_for = ?, why = ? WHERE run_id = ?", waitingFor, why, runId);
    this.#change(runId, { waitingFor, why });
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
    const entry = this.#all().get(runId);
    if (!entry) return 0;
    const attempts = entry.attempts + 1;
    this.#sql.exec("UPDATE queue SET attempts = ? WHERE run_id = ?", attempts, runId);
    this.#change(runId, { attempts });
    this.#refusals(runId, [...entry.refusedBy, refusal]);
    return attempts;
  }

  forgetRefusals(hostId: string): void {
    for (const { request, refusedBy } of this.list()) {
      const kept = refusedBy.filter((refusal) => refusal.hostId !== hostId);
      if (kept.length < refusedBy.length) this.#refusals(request.runId, kept);
    }
  }

  #refusals(runId: string, refusedBy: Waiting["refusedBy"]): void {
    this.#sql.exec("UPDATE queue SET refused_by = ? WHERE run_id = ?", JSON.stringify(refusedBy), runId);
    this.#change(runId, { refusedBy });
  }

  #all(): Map<string, Entry> {
    this.#entries ??= new Map(
      this.#sql
        .exec<Row>("SELECT * FROM queue ORDER BY enqueued_at, n")
        .toArray()
        .map((row) => [row.run_id, toEntry(row)]),
    );
    return this.#entries;
  }

  #change(runId: string, change: Partial<Entry>): void {
    const entry = this.#all().get(runId);
    if (entry) this.#all().set(runId, { ...entry, ...change });
  }

  #forget(gone: (entry: Entry) => boolean): void {
    for (const [runId, entry] of this.#all()) if (gone(entry)) this.#all().delete(runId);
  }
}

function toEntry(row: Row): Entry {
  return {
    request: JSON.parse(row.request) as LeaseRequest,
    enqueuedAt: row.enqueued_at,
    attempts: row.attempts,
    refusedBy: JSON.parse(row.refused_by) as Waiting["refusedBy"],
    waitingFor: row.waiting_for ?? undefined,
    why: (row.why ?? undefined) as WaitReason | undefined,
  };
}
