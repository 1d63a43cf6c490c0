/**
 * From what an adapter says to the events of a run, in order: chunks are gathered, everything else flushes them first.
 * The order of the end is fixed: last deltas, message.stop, usage.recorded, run.finished; nothing after it.
 */
import type { UIMessageChunk } from "ai";
import type { RunEvent, RunFinishedData } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import { cutText } from "./bounds.ts";
import type { Clock } from "./clock.ts";
import { DeltaGatherer } from "./delta-gatherer.ts";
import type { Spool } from "./spool.ts";

const MESSAGE_TEXT_BYTES = 256 * 1024;

/** A run that says more than this is not read by anybody; it would only fill the host's disk. */
export const SPOOL_MAX_BYTES = 512 * 1024 * 1024;

/** Chunks that say how a stream begins and ends. The run's own events say that. */
const FRAME_CHUNKS = new Set(["start", "finish", "start-step", "finish-step", "abort", "error", "message-metadata"]);

export class Recorder {
  readonly #spool: Spool;
  readonly #gatherer: DeltaGatherer;
  readonly #maxBytes: number;
  readonly #onFull: () => void;
  readonly #messageId = newId("msg");
  /** The text parts of the message so far, for message.stop. */
  readonly #texts: { id: string; text: string }[] = [];
  #messageOpen = false;

  /** `onFull` is called when the run has said more than `maxBytes`; from there on only its end is recorded. */
  constructor(spool: Spool, clock: Clock, onFull: () => void, maxBytes: number = SPOOL_MAX_BYTES) {
    this.#spool = spool;
    this.#onFull = onFull;
    this.#maxBytes = maxBytes;
    this.#gatherer = new DeltaGatherer(clock, (chunks) => {
      this.#spool.append({ type: "message.delta", data: { messageId: this.#messageId, chunks } });
    });
  }

  get finished(): boolean {
    return this.#spool.finished;
  }

  /** What comes after the run's end is dropped: the run has been fenced off. */
  chunk(chunk: UIMessageChunk): void {
    if (this.finished || FRAME_CHUNKS.has(chunk.type) || this.#isFull()) return;
    this.#messageOpen = true;
    if (chunk.type === "text-start") this.#texts.push({ id: chunk.id, text: "" });
    if (chunk.type === "text-delta") {
      const part = this.#texts.findLast((part) => part.id === chunk.id);
      if (part) part.text += chunk.delta;
    }
    this.#gatherer.push(chunk);
  }

  event(event: Exclude<RunEvent, { type: "run.finished" }>): void {
    if (this.finished) return;
    this.#gatherer.flush();
    this.#spool.append(event);
  }

  #isFull(): boolean {
    if (this.#spool.bytes <= this.#maxBytes) return false;
    this.#onFull();
    return true;
  }

  finish(data: RunFinishedData): void {
    if (this.finished) return;
    this.#gatherer.flush();
    if (this.#messageOpen) {
      const text = this.#texts.flatMap((part) => (part.text === "" ? [] : [part.text])).join("\n\n");
      this.event({
        type: "message.stop",
        data: { messageId: this.#messageId, text: cutText(text, MESSAGE_TEXT_BYTES) },
      });
    }
    if (data.usage) this.event({ type: "usage.recorded", data: data.usage });
    this.#spool.append({ type: "run.finished", data });
  }
}
