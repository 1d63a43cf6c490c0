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
import { SpoolWriter } from "./spool-writer.ts";

const MESSAGE_TEXT_BYTES = 256 * 1024;

/** A run that says more than this is not read by anybody; it would only fill the host's disk. */
export const SPOOL_MAX_BYTES = 512 * 1024 * 1024;

/** Chunks that say how a stream begins and ends. The run's own events say that. */
const FRAME_CHUNKS = new Set(["start", "finish", "start-step", "finish-step", "abort", "error", "message-metadata"]);

export type RecorderNeeds = {
  /** The run has said more than SPOOL_MAX_BYTES (or `maxBytes`); from there on only its end is recorded. */
  tooMuch(): void;
  maxBytes?: number | undefined;
  /** The disk has no room: the run has to stand still until there is some. */
  held(state: "held" | "goes-on"): void;
  /** It went on all the same, and said more than can be held. */
  overflow(): void;
};

export class Recorder {
  readonly #spool: Spool;
  readonly #writer: SpoolWriter;
  readonly #gatherer: DeltaGatherer;
  readonly #needs: RecorderNeeds;
  readonly #messageId = newId("msg");
  /** The text parts of the message so far, for message.stop. */
  readonly #texts: { id: string; text: string }[] = [];
  #messageOpen = false;
  #finished = false;

  constructor(spool: Spool, clock: Clock, needs: RecorderNeeds) {
    this.#spool = spool;
    this.#needs = needs;
    this.#writer = new SpoolWriter({ ...needs, spool, clock });
    this.#gatherer = new DeltaGatherer(clock, (chunks) => {
      this.#writer.write({ type: "message.delta", data: { messageId: this.#messageId, chunks } });
    });
  }

  /** What comes after the run's end is dropped: the run has been fenced off. */
  chunk(chunk: UIMessageChunk): void {
    if (this.#finished || FRAME_CHUNKS.has(chunk.type) || this.#isFull()) return;
    this.#messageOpen = true;
    if (chunk.type === "text-start") this.#texts.push({ id: chunk.id, text: "" });
    if (chunk.type === "text-delta") {
      const part = this.#texts.findLast((part) => part.id === chunk.id);
      if (part) part.text += chunk.delta;
    }
    this.#gatherer.push(chunk);
  }

  event(event: Exclude<RunEvent, { type: "run.finished" }>): void {
    if (this.#finished) return;
    this.#gatherer.flush();
    this.#writer.write(event);
  }

  #isFull(): boolean {
    if (this.#spool.bytes <= (this.#needs.maxBytes ?? SPOOL_MAX_BYTES)) return false;
    this.#needs.tooMuch();
    return true;
  }

  /** The run's last words. Resolves when they are in the spool. */
  async finish(data: RunFinishedData): Promise<void> {
    if (this.#finished) return;
    this.#gatherer.flush();
    if (this.#messageOpen) {
      const text = this.#texts.flatMap((part) => (part.text === "" ? [] : [part.text])).join("\n\n");
      this.event({
        type: "message.stop",
        data: { messageId: this.#messageId, text: cutText(text, MESSAGE_TEXT_BYTES) },
      });
    }
    if (data.usage) this.event({ type: "usage.recorded", data: data.usage });
    this.#finished = true;
    await this.#writer.finish({ type: "run.finished", data });
  }
}
