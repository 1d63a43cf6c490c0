/** The provider's chunks made fit for the wire: tools from their first moment on, with exit codes and diffs. */
import type { UIMessageChunk } from "ai";
import type { ToolPart } from "./observer.ts";

/** One per run. */
export class Parts {
  readonly #toolOf: (callId: string) => ToolPart | undefined;
  readonly #shown = new Set<string>();

  constructor(toolOf: (callId: string) => ToolPart | undefined) {
    this.#toolOf = toolOf;
  }

  /** The chunk to send on, or undefined when it says nothing new. */
  refine(chunk: UIMessageChunk): UIMessageChunk | undefined {
    switch (chunk.type) {
      case "tool-input-start":
      case "tool-approval-request": // the broker asks
        return undefined;
      case "tool-input-delta":
      case "tool-input-available":
        // The provider says that a tool is called when it has ended; with the delta it has begun.
        return this.#begun(chunk.toolCallId);
      case "tool-output-available":
        return this.#ended(chunk.toolCallId) ?? withoutMetadata(chunk);
      default:
        return withoutMetadata(chunk);
    }
  }

  #begun(toolCallId: string): UIMessageChunk | undefined {
    const part = this.#toolOf(toolCallId);
    if (!part || this.#shown.has(toolCallId)) return undefined;
    this.#shown.add(toolCallId);
    const call = { toolCallId, toolName: part.tool, providerExecuted: true, dynamic: true };
    return { type: "tool-input-available", ...call, input: part.state.input ?? {} };
  }

  #ended(toolCallId: string): UIMessageChunk | undefined {
    const { tool, state } = this.#toolOf(toolCallId) ?? {};
    if (state?.status !== "completed") return undefined;
    const { exit: exitCode, diff } = state.metadata ?? {};
    const output = state.output ?? "";
    const shown = tool === "bash" ? { exitCode, output } : diff === undefined ? output : { output, diff };
    return { type: "tool-output-available", toolCallId, output: shown, providerExecuted: true, dynamic: true };
  }
}

function withoutMetadata(chunk: UIMessageChunk): UIMessageChunk {
  if (!("providerMetadata" in chunk)) return chunk;
  const { providerMetadata: _, ...rest } = chunk;
  return rest as UIMessageChunk;
}
