/**
 * Everyone who reads along: the sockets of pages and the SSE streams. A reader gives its cursor and gets the tail after
 * it, or a snapshot and why; between the last read and going live there is no await. The platform has no back-pressure
 * on sockets, so a page acknowledges its cursor, and one that does not keep up is cut off with a code that says
 * "resume"; it is never fed holes.
 */
import type { SessionEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import { runById, type SessionView } from "#protocol/session-view.ts";
import type { SnapshotReason, ToViewer } from "#protocol/viewer.ts";
import { closeSocket } from "../shell/host-handshake.ts";
import type { Archive } from "./archive.ts";
import type { EventLog } from "./event-log.ts";
import { EventStream } from "./event-stream.ts";
import type { History } from "./history.ts";

/** A first visitor to a short session gets the events themselves: cheaper for both than a snapshot. */
const SHORT_LOG_EVENTS = 1_000;
/** Bytes a page may be behind before it is cut off. */
const UNREAD_BYTES = 8 * 1024 * 1024;

type Unread = { bytes: number; sent: { cursor: number; bytes: number }[] };

export class Hub {
  readonly #sockets: () => WebSocket[];
  readonly #log: EventLog;
  readonly #history: History;
  readonly #archive: Archive;
  /** Forgotten on hibernation, which only happens when nothing was sent for a while. */
  readonly #unread = new WeakMap<WebSocket, Unread>();
  /** Each with the credential it was opened with. */
  readonly #streams = new Map<EventStream, string>();

  constructor(sockets: () => WebSocket[], log: EventLog, history: History, archive: Archive) {
    this.#sockets = sockets;
    this.#log = log;
    this.#history = history;
    this.#archive = archive;
  }

  /**
   * What a page with this cursor gets of the archive, read before it joins; nothing when it gets a snapshot.
   * @param last how far the session is
   */
  async archived(cursor: number, last: number): Promise<SessionEvent[][]> {
    if (cursor >= this.#archive.upTo || snapshotNeeded(cursor, last)) return [];
    return await Array.fromAsync(this.#archive.after(cursor));
  }

  /** A page has connected. `archived` is what was read for it. */
  join(
    ws: WebSocket,
    from: number,
    view: SessionView,
    hostConnected: boolean,
    archived: readonly SessionEvent[][] = [],
  ): void {
    const cursor = Math.max(from, archived.at(-1)?.at(-1)?.seq ?? 0);
    // Rows may have been moved while those before them were read: then there is no tail to give.
    const gone = cursor < this.#archive.upTo;
    const why = snapshotNeeded(from, view.cursor) ?? (gone ? "too_far_behind" : undefined);
    if (why) {
      const head = { type: "snapshot", view, cursor: view.cursor, reason: why };
      const text = `${JSON.stringify(head).slice(0, -1)},"transcript":${this.#history.transcriptText()}}`;
      if (ws.readyState === WebSocket.READY_STATE_OPEN) ws.send(text);
    } else {
      for (const events of archived) this.#sendText(ws, `{"type":"events","events":${JSON.stringify(events)}}`, cursor);
      for (const events of this.#log.framesAfter(cursor))
        this.#sendText(ws, `{"type":"events","events":${events}}`, view.cursor);
    }
    this.#send(ws, { type: "live", cursor: view.cursor, hostConnected });
  }

  /** An SSE reader; with `runId` only that run, and the stream ends after its `run.finished`. */
  stream(
    cursor: number,
    view: SessionView,
    { runId, credential }: { runId: string | undefined; credential: string },
  ): ReadableStream<Uint8Array> {
    const before = (runId === undefined ? undefined : runById(view, runId)?.promptSeq) ?? 1;
    const start = Math.min(Math.max(cursor, before - 1), view.cursor);
    const stream = new EventStream({ log: this.#log, archive: this.#archive }, start, runId, () =>
      this.#streams.delete(stream),
    );
    this.#streams.set(stream, credential);
    return stream.readable;
  }

  /** Breaks off the SSE readers that came with this credential; those of others stay. */
  breakOff(credential: string): void {
    for (const [stream, whose] of this.#streams) if (whose === credential) stream.breakOff();
  }

  /** True when the run is over and a reader with this cursor has all of it. */
  hasAll(runId: string, cursor: number, view: SessionView): boolean {
    const run = runById(view, runId);
    if (run && run.state !== "finished") return false;
    if (run?.finishedSeq !== undefined) return cursor >= run.finishedSeq;
    for (const events of this.#log.after(cursor))
      if (events.some((event) => event.type === "run.finished" && event.runId === runId)) return false;
    return true;
  }

  /** @param text the same events as a JSON array, as the log has them */
  broadcast(events: readonly SessionEvent[], text: string): void {
    const last = events.at(-1);
    if (!last) return;
    const frame = `{"type":"events","events":${text}}`;
    for (const ws of this.#sockets()) this.#sendText(ws, frame, last.seq);
    for (const stream of this.#streams.keys()) stream.notify(events);
  }

  /** Something that is not part of the log: whether the host is connected right now. */
  tell(message: ToViewer): void {
    for (const ws of this.#sockets()) this.#send(ws, message);
  }

  answer(ws: WebSocket, message: ToViewer): void {
    this.#send(ws, message);
  }

  acknowledged(ws: WebSocket, cursor: number): void {
    const unread = this.#unread.get(ws);
    if (!unread) return;
    while (unread.sent[0] && unread.sent[0].cursor <= cursor) unread.bytes -= unread.sent.shift()?.bytes ?? 0;
  }

  #send(ws: WebSocket, message: ToViewer): void {
    if (ws.readyState === WebSocket.READY_STATE_OPEN) ws.send(JSON.stringify(message));
  }

  #sendText(ws: WebSocket, text: string, cursor: number): void {
    if (ws.readyState !== WebSocket.READY_STATE_OPEN) return;
    const unread = this.#unread.get(ws) ?? { bytes: 0, sent: [] };
    this.#unread.set(ws, unread);
    // What one frame brings is always sent; only what piles up is a slow reader.
    if (unread.bytes > UNREAD_BYTES)
      return closeSocket(ws, "slow_reader", "too far behind: come back with the cursor you have");
    ws.send(text);
    unread.bytes += text.length;
    unread.sent.push({ cursor, bytes: text.length });
  }
}

function snapshotNeeded(cursor: number, last: number): SnapshotReason | undefined {
  if (cursor > last) return "cursor_ahead";
  if (cursor === 0) return last > SHORT_LOG_EVENTS ? "first_visit" : undefined;
  return last - cursor > LIMITS.tailEvents ? "too_far_behind" : undefined;
}
