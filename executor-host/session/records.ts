/**
 * What this host knows of its leases on disk: a daemon that starts again reads it and goes on where it was killed.
 *
 *   lease       one per session: held → stopped (worker gone and saved, the release is on its way) → deleted
 *   run         accepted → announced (the session is told that it starts) → starting (the runner is being told) → started →
 *               deleted when it has ended
 *   reply       answers of people, until the runner has taken them
 *   workspace   outlives the lease: which snapshot the files on this disk come from, and under which lease they were set up
 */
import type { HumanLoopReply } from "#protocol/events.ts";
import type { Assignment, RunStart } from "#protocol/messages.ts";
import type { Database } from "../database.ts";

export type Lease = { assignment: Assignment; phase: "held" | "stopped"; stopReason: string | undefined };
export type RunPhase = "accepted" | "announced" | "starting" | "started";
export type RunRecord = {
  run: RunStart;
  phase: RunPhase;
  /** The runner's number of the last event that is in the outbox. */
  lastN: number;
  stopReason: string | undefined;
};
export type ReplyRecord = { id: number; runId: string; reply: HumanLoopReply };
export type WorkspaceRecord = {
  /** The snapshot that these files were last equal to. */
  snapshotId: string | undefined;
  /** The lease under which the files were last made ready. */
  epoch: number;
  /** Something may have changed since the last sync. */
  dirty: boolean;
};

export function createSessionTables(database: Database): void {
  database.exec(`
    CREATE TABLE IF NOT EXISTS lease (
      session_id TEXT PRIMARY KEY, assignment TEXT NOT NULL, phase TEXT NOT NULL, stop_reason TEXT
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS run (
      position INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, body TEXT NOT NULL,
      phase TEXT NOT NULL, last_n INTEGER NOT NULL, stop_reason TEXT
    );
    CREATE TABLE IF NOT EXISTS reply (
      id INTEGER PRIMARY KEY, session_id TEXT NOT NULL, run_id TEXT NOT NULL, body TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS workspace (
      session_id TEXT PRIMARY KEY, snapshot_id TEXT, epoch INTEGER NOT NULL, dirty INTEGER NOT NULL
    ) WITHOUT ROWID`);
}

export class Records {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  leases(): Lease[] {
    const rows = this.#database.sql("SELECT assignment, phase, stop_reason FROM lease").all() as LeaseRow[];
    return rows.map(toLease);
  }

  lease(sessionId: string): Lease | undefined {
    const row = this.#database
      .sql("SELECT assignment, phase, stop_reason FROM lease WHERE session_id = ?")
      .get(sessionId);
    return row ? toLease(row as LeaseRow) : undefined;
  }

  /** Takes the lease; whatever belonged to an older one of the same session is void. */
  hold(assignment: Assignment): void {
    this.forget(assignment.sessionId);
    this.#database
      .sql("INSERT INTO lease (session_id, assignment, phase) VALUES (?, ?, 'held')")
      .run(assignment.sessionId, JSON.stringify(assignment));
  }

  wantStop(sessionId: string, reason: string): void {
    this.#database
      .sql("UPDATE lease SET stop_reason = coalesce(stop_reason, ?) WHERE session_id = ?")
      .run(reason, sessionId);
  }

  unwantStop(sessionId: string): void {
    this.#database.sql("UPDATE lease SET stop_reason = NULL WHERE session_id = ?").run(sessionId);
  }

  markStopped(sessionId: string): void {
    this.#database.sql("UPDATE lease SET phase = 'stopped' WHERE session_id = ?").run(sessionId);
  }

  /** Forgets lease, runs and replies of a session; the workspace's record stays. */
  forget(sessionId: string): void {
    for (const table of ["lease", "run", "reply"]) {
      this.#database.sql(`DELETE FROM ${table} WHERE session_id = ?`).run(sessionId);
    }
  }

  /** False when the run is already known. */
  acceptRun(run: RunStart): boolean {
    const { changes } = this.#database
      .sql(
        "INSERT INTO run (run_id, session_id, body, phase, last_n) VALUES (?, ?, ?, 'accepted', 0) ON CONFLICT DO NOTHING",
      )
      .run(run.runId, run.sessionId, JSON.stringify(run));
    return Number(changes) > 0;
  }

  /** The runs that have not ended, in the order they came. */
  runs(sessionId: string): RunRecord[] {
    const rows = this.#database
      .sql("SELECT body, phase, last_n, stop_reason FROM run WHERE session_id = ? ORDER BY position")
      .all(sessionId) as RunRow[];
    return rows.map(toRun);
  }

  run(runId: string): RunRecord | undefined {
    const row = this.#database.sql("SELECT body, phase, last_n, stop_reason FROM run WHERE run_id = ?").get(runId);
    return row ? toRun(row as RunRow) : undefined;
  }

  setRunPhase(runId: string, phase: RunPhase): void {
    this.#database.sql("UPDATE run SET phase = ? WHERE run_id = ?").run(phase, runId);
  }

  setRunCursor(runId: string, lastN: number): void {
    this.#database.sql("UPDATE run SET last_n = ? WHERE run_id = ?").run(lastN, runId);
  }

  /** False when the run is not there any more. */
  wantRunStop(runId: string, reason: string): boolean {
    const { changes } = this.#database
      .sql("UPDATE run SET stop_reason = coalesce(stop_reason, ?) WHERE run_id = ?")
      .run(reason, runId);
    return Number(changes) > 0;
  }

  endRun(runId: string): void {
    this.#database.sql("DELETE FROM run WHERE run_id = ?").run(runId);
    this.#database.sql("DELETE FROM reply WHERE run_id = ?").run(runId);
  }

  addReply(sessionId: string, runId: string, reply: HumanLoopReply): void {
    this.#database
      .sql("INSERT INTO reply (session_id, run_id, body) VALUES (?, ?, ?)")
      .run(sessionId, runId, JSON.stringify(reply));
  }

  replies(runId: string): ReplyRecord[] {
    const rows = this.#database.sql("SELECT id, run_id, body FROM reply WHERE run_id = ? ORDER BY id").all(runId);
    return (rows as { id: number; run_id: string; body: string }[]).map((row) => ({
      id: row.id,
      runId: row.run_id,
      reply: JSON.parse(row.body),
    }));
  }

  endReply(id: number): void {
    this.#database.sql("DELETE FROM reply WHERE id = ?").run(id);
  }

  workspace(sessionId: string): WorkspaceRecord | undefined {
    const row = this.#database
      .sql("SELECT snapshot_id, epoch, dirty FROM workspace WHERE session_id = ?")
      .get(sessionId) as { snapshot_id: string | null; epoch: number; dirty: number } | undefined;
    return row && { snapshotId: row.snapshot_id ?? undefined, epoch: row.epoch, dirty: row.dirty === 1 };
  }

  setWorkspace(sessionId: string, { snapshotId, epoch, dirty }: WorkspaceRecord): void {
    this.#database
      .sql(
        "INSERT INTO workspace (session_id, snapshot_id, epoch, dirty) VALUES (?, ?, ?, ?) ON CONFLICT (session_id) DO UPDATE SET snapshot_id = excluded.snapshot_id, epoch = excluded.epoch, dirty = excluded.dirty",
      )
      .run(sessionId, snapshotId ?? null, epoch, dirty ? 1 : 0);
  }

  /** Its files are gone from this disk. */
  forgetWorkspace(sessionId: string): void {
    this.#database.sql("DELETE FROM workspace WHERE session_id = ?").run(sessionId);
  }

  setDirty(sessionId: string): void {
    this.#database.sql("UPDATE workspace SET dirty = 1 WHERE session_id = ?").run(sessionId);
  }
}

type LeaseRow = { assignment: string; phase: Lease["phase"]; stop_reason: string | null };
const toLease = (row: LeaseRow): Lease => ({
  assignment: JSON.parse(row.assignment),
  phase: row.phase,
  stopReason: row.stop_reason ?? undefined,
});

type RunRow = { body: string; phase: RunPhase; last_n: number; stop_reason: string | null };
const toRun = (row: RunRow): RunRecord => ({
  run: JSON.parse(row.body),
  phase: row.phase,
  lastN: row.last_n,
  stopReason: row.stop_reason ?? undefined,
});
