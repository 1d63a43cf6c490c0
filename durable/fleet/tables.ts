/** The tables of a pool, as steps (shell/schema.ts): they are only added to. */
export const FLEET_STEPS = [
  "CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY CHECK (id = 1), organization_id TEXT NOT NULL, pool TEXT NOT NULL)",
  "CREATE TABLE IF NOT EXISTS host (host_id TEXT PRIMARY KEY, name TEXT NOT NULL, created_at INTEGER NOT NULL, last_seen_at INTEGER NOT NULL, connected INTEGER NOT NULL, draining INTEGER NOT NULL, facts TEXT) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS ticket (hash TEXT PRIMARY KEY, host_id TEXT NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS queue (n INTEGER PRIMARY KEY, run_id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, request TEXT NOT NULL, enqueued_at INTEGER NOT NULL, attempts INTEGER NOT NULL, refused_by TEXT NOT NULL, waiting_for TEXT)",
  // The primary key is the constraint that a session has at most one live worker.
  "CREATE TABLE IF NOT EXISTS lease (session_id TEXT PRIMARY KEY, host_id TEXT NOT NULL, epoch INTEGER NOT NULL, state TEXT NOT NULL, run_id TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE TABLE IF NOT EXISTS epoch (session_id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID",
  "ALTER TABLE queue ADD COLUMN why TEXT",
  // Who was served when, as a number that grows: whoever was served longest ago is next (F-16).
  "CREATE TABLE turn (person TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID",
  "CREATE TABLE dead_letter (run_id TEXT PRIMARY KEY, letter TEXT NOT NULL, failed_at INTEGER NOT NULL, redriven_as TEXT, redriven_at INTEGER) WITHOUT ROWID",
];
