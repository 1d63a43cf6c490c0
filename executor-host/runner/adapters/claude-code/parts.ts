/** The provider's chunks made fit for the wire. */
import type { UIMessageChunk } from "ai";

/** Holds what is needed to see a tool's input said twice. One per run. */
export class Parts {
  readonly #inputs = new Map<string, string>();

  /** The chunk to send on, or undefined when it says nothing new. */
  refine(chunk: UIMessageChunk): UIMessageChunk | undefined {
    if (chunk.type === "tool-input-delta") {
      // After streaming a tool's input piece by piece the provider sends the whole of it once more.
      const before = this.#inputs.get(chunk.toolCallId) ?? "";
      if (before !== "" && isSameJson(before, chunk.inputTextDelta)) return undefined;
      this.#inputs.set(chunk.toolCallId, before + chunk.inputTextDelta);
    }
    if (chunk.type === "tool-input-available") this.#inputs.delete(chunk.toolCallId);
    return withoutMetadata(chunk);
  }
}

function isSameJson(streamed: string, whole: string): boolean {
  if (streamed === whole) return true;
  if (!whole.startsWith("{") || !whole.endsWith("}") || !streamed.endsWith("}")) return false;
  try {
    return JSON.stringify(JSON.parse(streamed)) === JSON.stringify(JSON.parse(whole));
  } catch {
    return false; // not complete yet: an ordinary piece
  }
}

/** The provider's metadata repeats every tool's input; only the parent of a subagent's tool is kept. */
function withoutMetadata(chunk: UIMessageChunk): UIMessageChunk {
  if (!("providerMetadata" in chunk)) return chunk;
  const { providerMetadata, ...rest } = chunk;
  const parentToolCallId = providerMetadata?.["claude-code"]?.parentToolCallId;
  if (!parentToolCallId) return rest as UIMessageChunk;
  return { ...rest, providerMetadata: { "claude-code": { parentToolCallId } } } as UIMessageChunk;
}
