/**
 * The spool: one append-only JSONL file per run.
 *
 *   {"start":{…}}                 the order that began the run, so that the same order again can be recognised
 *   {"n":1,"event":{…}}           one line per event, n = 1, 2, 3 …
 *
 * Invariant: a line is in the file before any reader can learn of it. Readers always read the file, never a queue in
 * memory, so a slow reader costs nothing and a reader that comes late misses nothing. Writes are synchronous and go to
 * the page cache: they survive the death of the runner and of its container, not a power cut of the machine.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { RunEvent } from "#protocol/events.ts";
import { type ProviderRunStart, runnerEventSchema, startSchema } from "#protocol/runner-api.ts";

/** One event as a stream sends it: `json` is the line of the file. */
export type SpooledEvent = { n: number; type: RunEvent["type"]; json: string };

const READ_BYTES = 256 * 1024;

export class Spool {
  readonly start: ProviderRunStart;
  readonly #file: string;
  #appendFd: number | undefined;
  /** `#ends[n]` is the offset after the line of event n; `#ends[0]` is the offset after the header. */
  readonly #ends: number[];
  readonly #types: RunEvent["type"][];
  #waiting: (() => void)[] = [];

  private constructor(file: string, appendFd: number, start: ProviderRunStart, headerEnd: number) {
    this.#file = file;
    this.#appendFd = appendFd;
    this.start = start;
    this.#ends = [headerEnd];
    this.#types = [];
  }

  /** Begins the spool of a new run. @throws when the file already exists or cannot be written */
  static create(file: string, start: ProviderRunStart): Spool {
    const fd = openSync(file, "ax", 0o600);
    const header = Buffer.from(`${JSON.stringify({ start })}\n`);
    try {
      writeAll(fd, header);
    } catch (error) {
      // The same order comes again, and must not find half a spool.
      closeSync(fd);
      rmSync(file);
      throw error;
    }
    return new Spool(file, fd, start, header.byteLength);
  }

  /**
   * Reads a spool that an earlier runner left. A last line without its newline was never visible to anyone and is cut.
   * Answers undefined when not even the header was written. @throws when a complete line is not what we write
   */
  static reopen(file: string): Spool | undefined {
    const bytes = readFileSync(file);
    const lines: { text: string; end: number }[] = [];
    for (
      let from = 0, newline = bytes.indexOf(10);
      newline >= 0;
      from = newline + 1, newline = bytes.indexOf(10, from)
    ) {
      lines.push({ text: bytes.toString("utf8", from, newline), end: newline + 1 });
    }
    const header = lines[0];
    if (!header) return undefined;
    const fd = openSync(file, "a", 0o600);
    const spool = new Spool(file, fd, startSchema.parse(JSON.parse(header.text).start), header.end);
    for (const line of lines.slice(1)) {
      const { event } = runnerEventSchema.parse(JSON.parse(line.text));
      spool.#types.push(event.type);
      spool.#ends.push(line.end);
    }
    ftruncateSync(fd, spool.bytes);
    if (spool.finished) spool.#close();
    return spool;
  }

  get lastN(): number {
    return this.#types.length;
  }

  /** Size of the file. */
  get bytes(): number {
    return this.#ends.at(-1) ?? 0;
  }

  /** The run's last word has been written; nothing can follow. */
  get finished(): boolean {
    return this.#types.at(-1) === "run.finished";
  }

  /**
   * Writes one event and wakes the readers. Answers its number.
   * @throws when the disk refuses (nothing of the event is in the file then), or after run.finished
   */
  append(event: RunEvent): number {
    if (this.#appendFd === undefined) throw new Error(`the spool of ${this.start.runId} is closed`);
    const n = this.lastN + 1;
    const line = Buffer.from(`${JSON.stringify({ n, event })}\n`);
    try {
      writeAll(this.#appendFd, line);
    } catch (error) {
      ftruncateSync(this.#appendFd, this.bytes);
      throw error;
    }
    this.#ends.push(this.bytes + line.byteLength);
    this.#types.push(event.type);
    if (this.finished) this.#close();
    for (const wake of this.#waiting.splice(0)) wake();
    return n;
  }

  /** The events after `cursor` in batches, then live ones as they come; ends after run.finished or when `signal` fires. */
  async *follow(cursor: number, signal: AbortSignal): AsyncGenerator<SpooledEvent[]> {
    const handle = await open(this.#file, "r");
    try {
      for (let sent = cursor; !signal.aborted; ) {
        if (sent >= this.lastN) {
          if (this.finished) return;
          await this.#changed(signal);
          continue;
        }
        const upTo = this.#batchEnd(sent);
        const from = this.#ends[sent] ?? 0;
        const bytes = Buffer.alloc((this.#ends[upTo] ?? 0) - from);
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, from);
        if (bytesRead !== bytes.length) throw new Error(`the spool of ${this.start.runId} is shorter than its index`);
        const lines = bytes.toString("utf8").split("\n");
        const batch: SpooledEvent[] = [];
        for (let n = sent + 1; n <= upTo; n++) {
          batch.push({ n, type: this.#types[n - 1] ?? "run.status", json: lines[n - sent - 1] ?? "" });
        }
        sent = upTo;
        yield batch;
      }
    } finally {
      await handle.close();
    }
  }

  /** The last event that fits one read; always at least one. */
  #batchEnd(sent: number): number {
    const from = this.#ends[sent] ?? 0;
    let upTo = sent + 1;
    while (upTo < this.lastN && (this.#ends[upTo + 1] ?? 0) - from <= READ_BYTES) upTo++;
    return upTo;
  }

  #changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal.removeEventListener("abort", wake);
        resolve();
      };
      signal.addEventListener("abort", wake, { once: true });
      this.#waiting.push(wake);
    });
  }

  #close(): void {
    if (this.#appendFd !== undefined) closeSync(this.#appendFd);
    this.#appendFd = undefined;
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let offset = 0; offset < bytes.byteLength; ) offset += writeSync(fd, bytes, offset);
}
