/** Neighbouring chunks of text as one: the reader's fold is the same. */
import type { UIMessageChunk } from "ai";

/** What `b` adds to `a`, when both are plain text for the same part and nothing else; undefined when they stay two. */
export function addedText(a: UIMessageChunk, b: UIMessageChunk): string | undefined {
  if (Object.keys(a).length !== 3 || Object.keys(b).length !== 3) return undefined;
  if (a.type === "text-delta" && b.type === "text-delta") return a.id === b.id ? b.delta : undefined;
  if (a.type === "reasoning-delta" && b.type === "reasoning-delta") return a.id === b.id ? b.delta : undefined;
  if (a.type !== "tool-input-delta" || b.type !== "tool-input-delta") return undefined;
  return a.toolCallId === b.toolCallId ? b.inputTextDelta : undefined;
}

/** The text that a chunk streams; undefined for a chunk that streams none. */
export function streamedText(chunk: UIMessageChunk): string | undefined {
  if (chunk.type === "text-delta" || chunk.type === "reasoning-delta") return chunk.delta;
  return chunk.type === "tool-input-delta" ? chunk.inputTextDelta : undefined;
}

/** The same chunk with another text. */
export function withText(chunk: UIMessageChunk, text: string): UIMessageChunk {
  if (chunk.type === "text-delta" || chunk.type === "reasoning-delta") return { ...chunk, delta: text };
  return chunk.type === "tool-input-delta" ? { ...chunk, inputTextDelta: text } : chunk;
}
