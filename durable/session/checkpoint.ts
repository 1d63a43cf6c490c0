/** The folded view, stored now and then: a wake reads it and the tail after it, never the whole log. */
import type { SessionEvent } from "#protocol/events.ts";
import { applyEvent, emptyView, type SessionView } from "#protocol/session-view.ts";
import { upgrade } from "../shell/schema.ts";
import type { EventLog } from "./event-log.ts";

/** Between two stored views: events of commits that change the view, which a wake folds; and commits, over which it steps. */
const EVERY_CHANGES = 200;
const EVERY_COMMITS = 1_000;

export type Identity = { sessionId: string; organizationId: string; pool: string };

export class Checkpoint {
  readonly #sql: SqlStorage;
  #commits = 0;
  #changes = 0;

  constructor(storage: DurableObjectStorage) {
    this.#sql = storage.sql;
    upgrade(storage, "checkpoint", [
      "CREATE TABLE IF NOT EXISTS checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1), identity TEXT NOT NULL, view TEXT NOT NULL)",
    ]);
  }

  /** Who this object is and what it knows; undefined when it was never created. */
  load(log: EventLog): { identity: Identity; view: SessionView } | undefined {
    const row = this.#sql
      .exec<{ identity: string; view: string }>("SELECT identity, view FROM checkpoint WHERE id = 1")
      .toArray()[0];
    if (!row) return undefined;
    let view = JSON.parse(row.view) as SessionView;
    for (const event of log.changesAfter(view.cursor)) view = applyEvent(view, event);
    return { identity: JSON.parse(row.identity) as Identity, view };
  }

  begin(identity: Identity): SessionView {
    const view = emptyView(identity.sessionId);
    this.store(identity, view);
    return view;
  }

  /** Called after each commit with its events. */
  committed(identity: Identity, view: SessionView, events: readonly SessionEvent[]): void {
    this.#commits++;
    // Deltas change nothing but the cursor, and a wake steps over them.
    if (events.some(({ type }) => type !== "message.delta")) this.#changes += events.length;
    if (this.#changes >= EVERY_CHANGES || this.#commits >= EVERY_COMMITS) this.store(identity, view);
  }

  store(identity: Identity, view: SessionView): void {
    this.#commits = 0;
    this.#changes = 0;
    this.#sql.exec(
      "INSERT INTO checkpoint (id, identity, view) VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE SET identity = excluded.identity, view = excluded.view",
      JSON.stringify(identity),
      JSON.stringify(view),
    );
  }
}
