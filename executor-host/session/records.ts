/**
 * What this host knows of its leases on disk: a daemon that starts again reads it and goes on where it was killed.
 *
 *   lease       one per session: held → stopped (worker gone and saved, the release is on its way) → deleted
 *   run         accepted → announced (the session is told that it starts) → starting (the runner is being told) → started →
 *               deleted when it has ended
 *   reply       answers of people, until the runner has taken them
 *   stop        outlives the lease: under which one the worker was stopped that left its files here
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

/** Files that were unsaved when the lease `epoch` was lost, and where they can be handed in. */
export type LostWork = { sessionId: string; epoch: number; storeUrl: string; traceId: string };

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
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS stop (session_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS lost_work (
      session_id TEXT NOT NULL, epoch INTEGER NOT NULL, store_url TEXT NOT NULL, trace_id TEXT NOT NULL,
      preserved INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (session_id, epoch)
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
    this.lose(assignment.sessionId);
    this.#database.sql("DELETE FROM stop WHERE session_id = ?").run(assignment.sessionId);
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
    this.#database
      .sql(
        "INSERT OR REPLACE INTO stop (session_id, epoch) SELECT session_id, assignment ->> '$.epoch' FROM lease WHERE session_id = ?",
      )
      .run(sessionId);
  }

  /** The lease under which the worker was last stopped in good order, if none came after it. */
  stoppedUnder(sessionId: string): number | undefined {
    const row = this.#database.sql("SELECT epoch FROM stop WHERE session_id = ?").get(sessionId);
    return (row as { epoch: number } | undefined)?.epoch;
  }

  /** The lease was lost. Like [forget]; files that only this host has are noted, to be handed in (kept-work.ts). */
  lose(sessionId: string): void {
    const assignment = this.lease(sessionId)?.assignment;
    const known = this.workspace(sessionId);
    if (assignment && known?.dirty && known.epoch === assignment.epoch) {
      this.#database
        .sql(
          "INSERT INTO lost_work (session_id, epoch, store_url, trace_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        )
        .run(sessionId, assignment.epoch, assignment.storeUrl, assignment.traceId);
    }
    this.forget(sessionId);
  }

  /** What has not been handed in yet, oldest leases first. */
  lostWork(): LostWork[] {
    const rows = this.#database
      .sql("SELECT session_id, epoch, store_url, trace_id FROM lost_work WHERE preserved = 0 ORDER BY epoch")
      .all() as { session_id: string; epoch: number; store_url: string; trace_id: string }[];
    return rows.map((row) => ({
      sessionId: row.session_id,
      epoch: row.epoch,
      storeUrl: row.store_url,
      traceId: row.trace_id,
    }));
  }

  markPreserved({ sessionId, epoch }: LostWork): void {
    this.#database.sql("UPDATE lost_work SET preserved = 1 WHERE session_id = ? AND epoch = ?").run(sessionId, epoch);
  }

  forgetLost({ sessionId, epoch }: LostWork): void {
    this.#database.sql("DELETE FROM lost_work WHERE session_id = ? AND epoch = ?").run(sessionId, epoch);
  }

  /** Whether the files that were unsaved when this lease was lost are in the store since. */
  isPreserved(sessionId: string, epoch: number): boolean {
    const row = this.#database
      .sql("SELECT 1 FROM lost_work WHERE session_id = ? AND epoch = ? AND preserved = 1")
      .get(sessionId, epoch);
    return row !== undefined;
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
    this.#database.sql("DELETE FROM stop WHERE session_id = ?").run(sessionId);
    this.#database.sql("DELETE FROM lost_work WHERE session_id = ? AND preserved = 1").run(sessionId);
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
