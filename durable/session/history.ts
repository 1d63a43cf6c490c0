/**
 * What becomes of the log behind the runs that are over, and behind what a long one has finished saying. Up to there it is
 * settled: deltas are folded, and what was said is kept as a transcript, so that a snapshot for a page does not read the log
 * from its beginning.
 *
 *   log   1 ─────────── folded ── settled ─────── last        fold(settled): one transaction moves `folded` there
 *   said  ─ transcript ───┘                                   of runs that are over; never written again
 *   begun             ────┘                                   of the others; written anew by each fold
 *
 * A fold that did not come about (the instance went) is made up for by the next one, which begins where the last ended.
 */
import type { SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { runById, type SessionView } from "#protocol/session-view.ts";
import { applyToTranscript, type Message, type Transcript } from "#protocol/transcript.ts";
import { upgrade } from "../shell/schema.ts";
import type { EventLog, StoredRow } from "./event-log.ts";
import { foldDeltas } from "./fold-deltas.ts";
import { packed } from "./log-rows.ts";
import { OpenParts } from "./open-parts.ts";

/** Size of a row of what was folded: few rows, and none that is slow to read a part of. */
const FOLDED_ROW_BYTES = 256 * 1024;

type Kept = "said" | "begun";
/** Whether the log up to `seq` has the end of this run. */
type IsOver = (runId: string, seq: number) => boolean;

export class History {
  readonly #storage: DurableObjectStorage;
  readonly #sql: SqlStorage;
  readonly #log: EventLog;
  /** What this instance has stored since the last fold. */
  #unfoldedBytes = 0;
  /** The size of `begun`, as far as this instance knows: so much has to be written again by each fold. */
  #begunBytes = 0;
  readonly #parts = new OpenParts();

  constructor(storage: DurableObjectStorage, log: EventLog) {
    this.#storage = storage;
    this.#sql = storage.sql;
    this.#log = log;
    upgrade(storage, "history", [
      "CREATE TABLE history (id INTEGER PRIMARY KEY CHECK (id = 1), folded INTEGER NOT NULL)",
      "CREATE TABLE said (n INTEGER PRIMARY KEY, text TEXT NOT NULL)",
      "CREATE TABLE begun (n INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    ]);
  }

  /** Everything up to here is folded, and in the kept transcript. */
  get folded(): number {
    return this.#sql.exec<{ folded: number }>("SELECT folded FROM history").toArray()[0]?.folded ?? 0;
  }

  /**
   * Folds what is not folded yet, all or none of it.
   * @param settled best where no part of a message is being written: what is added to one later is not folded with it
   */
  fold(settled: number, isOver: IsOver): void {
    const { folded } = this;
    if (settled <= folded) return;
    this.#storage.transactionSync(() => {
      const source = { cursor: folded, upTo: settled, host: { epoch: null, taken: null }, rest: [] } as Source;
      const begun = this.#begun();
      let transcript: Transcript = { cursor: folded, messages: begun };
      const told = function* (events: Iterable<SessionEvent>) {
        for (const event of events) {
          transcript = applyToTranscript(transcript, event);
          yield event;
        }
      };
      const events = told(foldDeltas(settledEvents(this.#log.rows(folded, settled), source), begun));
      const rows: StoredRow[] = packed(events, FOLDED_ROW_BYTES).map((row) => ({ ...row, epoch: null, taken: null }));
      const { messages } = transcript;
      const over = countOver(transcript, isOver);
      const newest = rows.at(-1);
      if (newest) Object.assign(newest, source.host);
      this.#log.replace(folded, settled, [...rows, ...source.rest]);
      this.#add("said", messages.slice(0, over));
      this.#sql.exec("DELETE FROM begun");
      this.#begunBytes = this.#add("begun", messages.slice(over));
      this.#sql.exec(
        "INSERT INTO history (id, folded) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET folded = excluded.folded",
        settled,
      );
    });
    this.#unfoldedBytes = 0;
  }

  /**
   * Notes what was stored. @returns whether a run that goes on has said so much that it should be folded: more each time, since
   * what it has begun is written anew
   */
  stored(events: readonly SessionEvent[], bytes: number): boolean {
    this.#parts.take(events);
    this.#unfoldedBytes += bytes;
    return this.#unfoldedBytes >= Math.max(LIMITS.unfoldedBytes, this.#begunBytes);
  }

  /** Folds what runs that go on have finished saying: up to the last event after which no part was being written. */
  foldFinished(isOver: IsOver): void {
    const { closedAt } = this.#parts;
    if (closedAt !== undefined) this.fold(closedAt, isOver);
    this.#unfoldedBytes = 0;
  }

  /** The transcript of everything so far, or of one run. */
  transcript(runId?: string): Transcript {
    const { cursor, messages } = this.#tail();
    const all = [...(JSON.parse(`[${this.#text("said")}]`) as Message[]), ...messages];
    return { cursor, messages: runId ? all.filter((message) => message.runId === runId) : all };
  }

  /** The same as JSON, without parsing what is kept as text. */
  transcriptText(): string {
    const { cursor, messages } = this.#tail();
    const all = [this.#text("said"), ...messages.map((message) => JSON.stringify(message))].filter(
      (text) => text !== "",
    );
    return `{"cursor":${cursor},"messages":[${all.join(",")}]}`;
  }

  /** One run's events in order, as far as they are in the object; with `types` only those. Reads what lies between its prompt and its end. */
  ofRun(view: SessionView, runId: string, types?: readonly SessionEvent["type"][]): SessionEvent[] {
    const { after, last } = spanOfRun(view, runId);
    const found: SessionEvent[] = [];
    for (const events of this.#log.after(after)) {
      found.push(...events.filter((event) => isOfRun(event, runId, types)));
      if (last !== undefined && (events.at(-1)?.seq ?? 0) >= last) break;
    }
    return found;
  }

  /** What was said after the last fold, and of messages that had begun before it all of them. */
  #tail(): Transcript {
    let transcript: Transcript = { cursor: this.folded, messages: this.#begun() };
    for (const events of this.#log.after(transcript.cursor))
      for (const event of events) transcript = applyToTranscript(transcript, event);
    return transcript;
  }

  #begun = (): Message[] => JSON.parse(`[${this.#text("begun")}]`) as Message[];

  #text(kept: Kept): string {
    const pieces = this.#sql.exec<{ text: string }>(`SELECT text FROM ${kept} ORDER BY n`).toArray();
    return pieces.map(({ text }) => text).join("");
  }

  /** Adds to what is kept, and says how much. A row is a piece of its text and may end anywhere: a message can be larger than a row. */
  #add(kept: Kept, messages: readonly Message[]): number {
    if (messages.length === 0) return 0;
    const [{ pieces } = { pieces: 0 }] = this.#sql
      .exec<{ pieces: number }>(`SELECT count(*) AS pieces FROM ${kept}`)
      .toArray();
    const text = (pieces > 0 ? "," : "") + messages.map((message) => JSON.stringify(message)).join(",");
    const pieceChars = LIMITS.logRowBytes / 4;
    for (let at = 0; at < text.length; ) {
      // Not between the halves of a character: a half alone is nothing that can be stored.
      const end = at + pieceChars + (isHighHalf(text.charCodeAt(at + pieceChars - 1)) ? 1 : 0);
      this.#sql.exec(`INSERT INTO ${kept} (text) VALUES (?)`, text.slice(at, end));
      at = end;
    }
    return text.length;
  }
}

export const isOfRun = (event: SessionEvent, runId: string, types?: readonly SessionEvent["type"][]): boolean =>
  event.runId === runId && (types === undefined || types.includes(event.type));

/** Where a run's events lie: behind `after`, and up to `last` when it is over and that is known. */
export function spanOfRun(view: SessionView, runId: string): { after: number; last: number | undefined } {
  const run = runById(view, runId);
  return { after: (run?.promptSeq ?? 1) - 1, last: run?.state === "finished" ? run.finishedSeq : undefined };
}

/** How many of the first messages are over: no run that goes on can change them or come before them. */
function countOver({ cursor, messages }: Transcript, isOver: IsOver): number {
  const first = messages.findIndex(({ role, runId }) => role === "assistant" && !isOver(runId, cursor));
  return first < 0 ? messages.length : first;
}

const isHighHalf = (code: number): boolean => code >= 0xd800 && code <= 0xdbff;

/** What is read of the rows besides the events that are settled. */
type Source = {
  cursor: number;
  upTo: number;
  /** The newest of the host's messages that brought them: the link must not forget that it was taken. */
  host: Pick<StoredRow, "epoch" | "taken">;
  /** The events after `upTo` that shared a row with settled ones. */
  rest: StoredRow[];
};

function* settledEvents(rows: Iterable<StoredRow>, source: Source): Generator<SessionEvent> {
  const { cursor, upTo } = source;
  for (const row of rows) {
    const { epoch, taken } = row;
    if (taken !== null) source.host = { epoch, taken };
    const events = JSON.parse(row.events) as SessionEvent[];
    yield* events.filter(({ seq }) => seq > cursor && seq <= upTo);
    if (row.seq <= upTo) continue;
    const later = events.filter(({ seq }) => seq > upTo);
    source.rest = packed(later, LIMITS.logRowBytes).map((piece) => ({ ...piece, epoch, taken }));
  }
}
