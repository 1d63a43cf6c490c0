/**
 * The session's log. One row per commit: the events that one frame brought, as one JSON array. `seq` of the row is the
 * last event in it. A cursor means "I have everything up to seq"; a cursor inside a row gets the rest of that row.
 *
 * The row also says which message of the host brought it (`epoch`, `taken`): a frame is one row, and that it was taken
 * cannot be on disk without what it brought, or the other way round.
 */
import type { NewEvent, SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { upgrade } from "../shell/schema.ts";

type Row = { seq: number; first: number; events: string };
/** Message number `n` of the host that holds the lease `epoch`. */
export type HostMessage = { epoch: number; n: number };

export class EventLog {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    this.#sql = storage.sql;
    upgrade(storage, "log", [
      "CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, first INTEGER NOT NULL, epoch INTEGER, taken INTEGER, events TEXT NOT NULL)",
    ]);
  }

  /**
   * Stores the events, all or none, and answers them as a JSON array.
   * @param from the host's message that brought them, if one did
   */
  append(events: readonly SessionEvent[], from?: HostMessage): string {
    const rows = toRows(events);
    const [only] = rows;
    if (rows.length === 1 && only) {
      this.#insert(only, from);
      return only.events;
    }
    this.#storage.transactionSync(() => {
      for (const row of rows) this.#insert(row, from);
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

  /** One run's events in order; with `types` only those. */
  ofRun(runId: string, types?: readonly SessionEvent["type"][]): SessionEvent[] {
    const found: SessionEvent[] = [];
    for (const events of this.after(0)) {
      found.push(...events.filter((event) => event.runId === runId && (!types || types.includes(event.type))));
    }
    return found;
  }

  #insert({ seq, first, events }: Row, from: HostMessage | undefined): void {
    this.#sql.exec(
      "INSERT INTO log (seq, first, epoch, taken, events) VALUES (?, ?, ?, ?, ?)",
      seq,
      first,
      from?.epoch ?? null,
      from?.n ?? null,
      events,
    );
  }

  last(): number {
    return this.#sql.exec<{ seq: number | null }>("SELECT max(seq) AS seq FROM log").one().seq ?? 0;
  }
}

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

/** Cuts a commit into rows that the platform can hold. */
function toRows(events: readonly SessionEvent[]): Row[] {
  const rows: Row[] = [];
  let parts: string[] = [];
  let size = 0;
  let first = 0;
  for (const event of events) {
    const text = JSON.stringify(event);
    if (parts.length > 0 && size + text.length > LIMITS.logRowBytes) {
      rows.push({ seq: event.seq - 1, first, events: `[${parts.join(",")}]` });
      parts = [];
      size = 0;
    }
    if (parts.length === 0) first = event.seq;
    parts.push(text);
    size += text.length + 1;
  }
  const last = events.at(-1);
  if (last) rows.push({ seq: last.seq, first, events: `[${parts.join(",")}]` });
  return rows;
}
