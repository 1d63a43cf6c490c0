/** What each host last said of its own sweep. */
import type { HostSweep, ReconcilerReport } from "#protocol/reconcile.ts";
import { upgrade } from "../shell/schema.ts";

export class HostReports {
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    upgrade(storage, "host-reports", [
      "CREATE TABLE IF NOT EXISTS host_report (host_id TEXT PRIMARY KEY, at INTEGER NOT NULL, reports TEXT NOT NULL) WITHOUT ROWID",
    ]);
  }

  keep(hostId: string, reports: readonly ReconcilerReport[], now: number): void {
    this.#sql.exec(
      "INSERT INTO host_report (host_id, at, reports) VALUES (?, ?, ?) ON CONFLICT (host_id) DO UPDATE SET at = excluded.at, reports = excluded.reports",
      hostId,
      now,
      JSON.stringify(reports),
    );
  }

  list(): HostSweep[] {
    return this.#sql
      .exec<{ host_id: string; at: number; reports: string }>("SELECT * FROM host_report ORDER BY host_id")
      .toArray()
      .map((row) => ({ hostId: row.host_id, at: row.at, reports: JSON.parse(row.reports) }));
  }
}
