/**
 * One SSE reader. `id:` is the seq, `event:` the type, `data:` the envelope. The log is the buffer: a reader that does
 * not read holds nothing in memory and goes on from its own cursor when it reads again.
 */
import type { SessionEvent } from "#protocol/events.ts";
import type { Archive } from "./archive.ts";
import type { EventLog } from "./event-log.ts";

/** Bytes that are handed to the platform ahead of the reader. */
const AHEAD_BYTES = 256 * 1024;

export type Sources = { log: EventLog; archive: Archive };

export class EventStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly #log: EventLog;
  readonly #archive: Archive;
  readonly #runId: string | undefined;
  readonly #ended: () => void;
  readonly #encoder = new TextEncoder();
  #cursor: number;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;

  /** @param runId only this run, and the stream ends after its `run.finished` */
  constructor({ log, archive }: Sources, cursor: number, runId: string | undefined, ended: () => void) {
    this.#log = log;
    this.#archive = archive;
    this.#cursor = cursor;
    this.#runId = runId;
    this.#ended = ended;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          // The headers go out at once, and a browser comes back after a second instead of its own default.
          controller.enqueue(this.#encoder.encode("retry: 1000\n\n"));
        },
        pull: () => this.#pull(),
        cancel: () => this.#end(),
      },
      { highWaterMark: AHEAD_BYTES, size: (chunk) => chunk?.byteLength ?? 0 },
    );
  }

  /** New events are in the log. */
  notify(events: readonly SessionEvent[]): void {
    // What is read from the archive goes on into the log by itself.
    if (!this.#wantsMore() || this.#cursor < this.#archive.upTo) return;
    if (events[0] && events[0].seq === this.#cursor + 1) this.#write(events);
    else this.#fill();
  }

  /** Nothing more goes to this reader, not even what was handed to the platform and not read yet. */
  breakOff(): void {
    this.#controller?.error(new Error("this sign-in or token was revoked"));
    this.#end();
  }

  #pull(): void | Promise<void> {
    return this.#cursor < this.#archive.upTo ? this.#fillFromArchive() : this.#fill();
  }

  async #fillFromArchive(): Promise<void> {
    for await (const events of this.#archive.after(this.#cursor)) {
      this.#write(events);
      if (!this.#wantsMore()) return;
    }
    this.#fill();
  }

  #fill(): void {
    for (const events of this.#log.after(this.#cursor)) {
      this.#write(events);
      if (!this.#wantsMore()) return;
    }
  }

  #wantsMore(): boolean {
    return this.#controller !== undefined && (this.#controller.desiredSize ?? 0) > 0;
  }

  #write(events: readonly SessionEvent[]): void {
    let text = "";
    for (const event of events) {
      this.#cursor = event.seq;
      if (this.#runId && event.runId !== this.#runId) continue;
      text += `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      if (this.#runId && event.type === "run.finished") {
        this.#controller?.enqueue(this.#encoder.encode(text));
        this.#controller?.close();
        return this.#end();
      }
    }
    if (text) this.#controller?.enqueue(this.#encoder.encode(text));
  }

  #end(): void {
    this.#controller = undefined;
    this.#ended();
  }
}
