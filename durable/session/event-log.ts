/**
 * The session's log. A row holds events as one JSON array; `seq` of the row is the last event in it, `first` the first
 * that it covers. A cursor means "I have everything up to seq"; a cursor inside a row gets the rest of that row.
 *
 * A commit writes one row: a new one, or the newest once more while what a host says keeps coming and the row is small.
 * That is billed the same, and it leaves few rows to read and to fold away.
 *
 * The row also says which message of the host brought it (`epoch`, `taken`): a frame is one row, and that it was taken
 * cannot be on disk without what it brought, or the other way round. `quiet` rows hold nothing that changes the view
 * except its cursor, so a wake steps over them.
 */
import type { NewEvent, SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { upgrade } from "../shell/schema.ts";
import { packed } from "./log-rows.ts";

type Row = { seq: number; first: number; events: string };
/** A row as it is stored, with what is kept beside its events. */
export type StoredRow = Row & { epoch: number | null; taken: number | null };
/** Message number `n` of the host that holds the lease `epoch`. */
export type HostMessage = { epoch: number; n: number };
/** The newest row, as long as it takes more. Its text is kept: to put it together in SQL costs more than to hand it over. */
type Open = { seq: number; epoch: number; quiet: boolean; events: string };

export class EventLog {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  /** Forgotten with the instance; the next one begins a new row. */
  #open: Open | undefined;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    upgrade(storage, "log", [
      "CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, epoch INTEGER, taken INTEGER, events TEXT NOT NULL)",
      "ALTER TABLE log ADD COLUMN quiet INTEGER NOT NULL DEFAULT 0",
    ]);
  }

  /**
   * Stores the events, all or none, and answers them as a JSON array.
   * @param from the host's message that brought them, if one did
   */
  append(events: readonly SessionEvent[], from?: HostMessage): string {
    const rows = packed(events, LIMITS.logRowBytes);
    const [only] = rows;
    if (rows.length === 1 && only) {
      const quiet = isQuiet(events);
      if (!from || !this.#extend(only, from, quiet)) this.#insert(only, from, quiet);
      return only.events;
    }
    this.#open = undefined;
    this.#storage.transactionSync(() => {
      for (const row of rows) this.#insert(row, from, false);
    });
    return `[${rows.map((row) => row.events.slice(1, -1)).join(",")}]`;
  }

  /** The number of the host's last message under this lease that brought events; 0 when none did. */
  taken(epoch: number): number {
    const last = this.#sql
      .exec<{ epoch: number; taken: number }>(
        "SELECT epoch, taken FROM log WHERE taken IS NOT NULL ORDER BY seq DESC LIMIT 1",
      )
      .toArray()[0];
    return last?.epoch === epoch ? last.taken : 0;
  }

  /** The events after `cursor`, row by row, so that a long tail never has to be in memory at once. */
  *after(cursor: number): Generator<SessionEvent[]> {
    for (const row of this.#sql.exec<Row>("SELECT seq, first, events FROM log WHERE seq > ? ORDER BY seq", cursor)) {
      const events = JSON.parse(row.events) as SessionEvent[];
      yield row.first > cursor ? events : events.filter((event) => event.seq > cursor);
    }
  }

  /** What a view at `cursor` has to fold to be at the end: the events that change it, and the last one. */
  *changesAfter(cursor: number): Generator<SessionEvent> {
    const loud = "SELECT seq, first, events FROM log WHERE seq > ? AND quiet = 0 ORDER BY seq";
    for (const row of this.#sql.exec<Row>(loud, cursor)) yield* JSON.parse(row.events) as SessionEvent[];
    const [last] = this.#sql.exec<Row>("SELECT seq, first, events FROM log ORDER BY seq DESC LIMIT 1").toArray();
    if (last) yield* (JSON.parse(last.events) as SessionEvent[]).slice(-1);
  }

  /**
   * The events after `cursor` as JSON arrays ready to be sent, each of at most about a frame's size. Rows are joined
   * as text: what is stored is what is sent.
   */
  *framesAfter(cursor: number): Generator<string> {
    let parts: string[] = [];
    let size = 0;
    for (const row of this.#sql.exec<Row>("SELECT seq, first, events FROM log WHERE seq > ? ORDER BY seq", cursor)) {
      const inner = row.first > cursor ? row.events.slice(1, -1) : withoutBrackets(row.events, cursor);
      if (size + inner.length > LIMITS.frameBytes && parts.length > 0) {
        yield `[${parts.join(",")}]`;
        parts = [];
        size = 0;
      }
      parts.push(inner);
      size += inner.length;
    }
    if (parts.length > 0) yield `[${parts.join(",")}]`;
  }

  /** The rows with events after `cursor` that begin at `upTo` or before, oldest first, one after the other. */
  rows(cursor: number, upTo: number): Iterable<StoredRow> {
    return this.#sql.exec<StoredRow>(
      "SELECT seq, first, epoch, taken, events FROM log WHERE seq > ? AND first <= ? ORDER BY seq",
      cursor,
      upTo,
    );
  }

  /** Puts other rows in the place of those that [rows] answered for the same range. Call it in a transaction. */
  replace(cursor: number, upTo: number, rows: readonly StoredRow[]): void {
    this.#open = undefined;
    this.#sql.exec("DELETE FROM log WHERE seq > ? AND first <= ?", cursor, upTo);
    for (const row of rows) {
      const from = row.epoch === null || row.taken === null ? undefined : { epoch: row.epoch, n: row.taken };
      this.#insert(row, from, false);
    }
    this.#open = undefined;
  }

  #insert({ seq, first, events }: Row, from: HostMessage | undefined, quiet: boolean): void {
    this.#sql.exec(
      "INSERT INTO log (seq, first, epoch, taken, events, quiet) VALUES (?, ?, ?, ?, ?, ?)",
      seq,
      first,
      from?.epoch ?? null,
      from?.n ?? null,
      events,
      quiet ? 1 : 0,
    );
    const small = events.length < LIMITS.logOpenRowBytes;
    this.#open = from && small ? { seq, epoch: from.epoch, quiet, events } : undefined;
  }

  /**
   * Adds to the newest row. False when it takes no more, or is not there: what this instance remembers may have been
   * taken back with its transaction.
   */
  #extend({ seq, events }: Row, from: HostMessage, quiet: boolean): boolean {
    const open = this.#open;
    if (open?.epoch !== from.epoch || open.quiet !== quiet) return false;
    if (open.events.length + events.length > LIMITS.logOpenRowBytes) return false;
    const both = `${open.events.slice(0, -1)},${events.slice(1)}`;
    const extended = this.#sql
      .exec("UPDATE log SET seq = ?, taken = ?, events = ? WHERE seq = ? RETURNING seq", seq, from.n, both, open.seq)
      .toArray();
    if (extended.length === 0) return false;
    this.#open = { ...open, seq, events: both };
    return true;
  }

  last(): number {
    return this.#sql.exec<{ seq: number | null }>("SELECT max(seq) AS seq FROM log").one().seq ?? 0;
  }
}

const isQuiet = (events: readonly SessionEvent[]): boolean => events.every(({ type }) => type === "message.delta");

function withoutBrackets(events: string, cursor: number): string {
  const rest = (JSON.parse(events) as SessionEvent[]).filter((event) => event.seq > cursor);
  return JSON.stringify(rest).slice(1, -1);
}

/** Gives the events of a decision their envelope; the first follows `after`. */
export function numbered(
  events: readonly NewEvent[],
  envelope: { after: number; at: number; sessionId: string; traceOf: (event: NewEvent) => string },
): SessionEvent[] {
  const { after, at, sessionId, traceOf } = envelope;
  return events.map(
    (event, index) =>
      ({ v: 1, seq: after + 1 + index, at, sessionId, ...event, traceId: traceOf(event) }) as SessionEvent,
  );
}
