/** The provider's chunks made fit for the wire: tools as items say they are, live output not repeated with every line. */
import type { UIMessageChunk } from "ai";
import type { Clock } from "../../clock.ts";
import { type Item, inputOf, outputOf } from "./items.ts";

/** How often a running command's output is shown, and how much of it; the whole comes at its end. */
const LIVE_EVERY_MS = 1_000;
const LIVE_CHARS = 8_000;

type Live = { text: string; shownAt: number };

/** One per run. */
export class Parts {
  readonly #clock: Clock;
  readonly #itemOf: (id: string) => Item | undefined;
  readonly #live = new Map<string, Live>();

  constructor(clock: Clock, itemOf: (id: string) => Item | undefined) {
    this.#clock = clock;
    this.#itemOf = itemOf;
  }

  /** The chunk to send on, or undefined when it says nothing new. */
  refine(chunk: UIMessageChunk): UIMessageChunk | undefined {
    switch (chunk.type) {
      case "tool-input-start": // the whole input follows at once
      case "tool-input-delta":
      case "tool-approval-request": // the broker asks
        return undefined;
      case "tool-input-available": {
        const item = this.#itemOf(chunk.toolCallId);
        return withoutMetadata({ ...chunk, input: item ? inputOf(item) : chunk.input });
      }
      case "tool-output-available":
        if (chunk.preliminary) return this.#running(chunk.toolCallId, chunk.output);
        return this.#ended(chunk.toolCallId) ?? withoutMetadata(chunk);
      case "tool-output-error":
        return this.#ended(chunk.toolCallId) ?? withoutMetadata(chunk);
      default:
        return withoutMetadata(chunk);
    }
  }

  #ended(toolCallId: string): UIMessageChunk | undefined {
    this.#live.delete(toolCallId);
    const item = this.#itemOf(toolCallId);
    return item && outputOf(toolCallId, item);
  }

  #running(toolCallId: string, output: unknown): UIMessageChunk | undefined {
    const live = this.#live.get(toolCallId) ?? { text: "", shownAt: this.#clock.now() };
    this.#live.set(toolCallId, live);
    live.text = (live.text + String((output as { delta?: unknown } | null)?.delta ?? "")).slice(-LIVE_CHARS);
    const now = this.#clock.now();
    if (now - live.shownAt < LIVE_EVERY_MS) return undefined;
    live.shownAt = now;
    const shown = { output: live.text };
    return { type: "tool-output-available", toolCallId, output: shown, preliminary: true, dynamic: true };
  }
}

function withoutMetadata(chunk: UIMessageChunk): UIMessageChunk {
  if (!("providerMetadata" in chunk)) return chunk;
  const { providerMetadata: _, ...rest } = chunk;
  return rest as UIMessageChunk;
}
