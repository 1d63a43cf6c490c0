/** The AI SDK's chunks made fit for the wire: parts with ids that are unique in the run, tools as every provider's are. */
import type { UIMessageChunk } from "ai";

/** One per run. */
export class Parts {
  readonly #refused: ReadonlySet<string>;
  #step = 0;

  /** @param refused calls that people refused */
  constructor(refused: ReadonlySet<string>) {
    this.#refused = refused;
  }

  refine(chunk: UIMessageChunk): UIMessageChunk {
    switch (chunk.type) {
      case "start-step":
        this.#step++;
        return chunk;
      case "text-start":
      case "text-delta":
      case "text-end":
      case "reasoning-start":
      case "reasoning-delta":
      case "reasoning-end":
        // Providers count from 0 in every answer of the model.
        return withoutMetadata({ ...chunk, id: `${this.#step}-${chunk.id}` });
      case "tool-output-error":
        if (this.#refused.has(chunk.toolCallId)) return { type: "tool-output-denied", toolCallId: chunk.toolCallId };
        return asTool(chunk);
      case "tool-input-start":
      case "tool-input-available":
      case "tool-input-error":
      case "tool-output-available":
        return asTool(chunk);
      default:
        return withoutMetadata(chunk);
    }
  }
}

function asTool<C extends UIMessageChunk>(chunk: C): UIMessageChunk {
  return withoutMetadata({ ...chunk, providerExecuted: true, dynamic: true } as UIMessageChunk);
}

function withoutMetadata(chunk: UIMessageChunk): UIMessageChunk {
  if (!("providerMetadata" in chunk)) return chunk;
  const { providerMetadata: _, ...rest } = chunk;
  return rest as UIMessageChunk;
}
