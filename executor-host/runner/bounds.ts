/**
 * What an event may weigh. Tool output and input are cut with a note that says how much is missing; streamed text is
 * never cut, only split over several chunks.
 */
import type { UIMessageChunk } from "ai";
import { LIMITS } from "#protocol/limits.ts";

/** Streamed text goes out in pieces of this size, so that one chunk cannot blow an event up. */
export const DELTA_PIECE_CHARS = 8 * 1024;

const encoder = new TextEncoder();

/** The size of a value as it will be on the wire. */
export function jsonBytes(value: unknown): number {
  return encoder.encode(JSON.stringify(value) ?? "").byteLength;
}

/** Cuts `text` to at most `maxBytes` of UTF-8, at a character, with a note of what is missing. */
export function cutText(text: string, maxBytes: number): string {
  const bytes = encoder.encode(text);
  if (bytes.byteLength <= maxBytes) return text;
  let end = Math.max(0, maxBytes);
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  const kept = new TextDecoder().decode(bytes.subarray(0, end));
  return `${kept}\n[… ${bytes.byteLength - end} more bytes were left out here]`;
}

/** The same value with long strings cut until its JSON fits `maxBytes`; its shape is kept as long as that is possible. */
export function cutValue(value: unknown, maxBytes: number): unknown {
  if (jsonBytes(value) <= maxBytes) return value;
  for (let perString = Math.floor(maxBytes / 2); perString >= 256; perString = Math.floor(perString / 2)) {
    const cut = cutStrings(value, perString);
    if (jsonBytes(cut) <= maxBytes) return cut;
  }
  // Escaping can double a string's size on the wire.
  return cutText(JSON.stringify(value), Math.floor(maxBytes / 2) - 256);
}

function cutStrings(value: unknown, maxBytes: number): unknown {
  if (typeof value === "string") return cutText(value, maxBytes);
  if (Array.isArray(value)) return value.map((item) => cutStrings(item, maxBytes));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutStrings(item, maxBytes)]));
}

/** One chunk as one or more chunks of which none is larger than an event may be. */
export function boundChunk(chunk: UIMessageChunk): UIMessageChunk[] {
  const max = LIMITS.toolOutputBytes;
  switch (chunk.type) {
    case "text-delta":
    case "reasoning-delta":
      return pieces(chunk.delta).map((delta) => ({ ...chunk, delta }));
    case "tool-input-delta":
      return pieces(chunk.inputTextDelta).map((inputTextDelta) => ({ ...chunk, inputTextDelta }));
    case "tool-input-available":
      return [{ ...chunk, input: cutValue(chunk.input, max) }];
    case "tool-input-error":
      return [{ ...chunk, input: cutValue(chunk.input, max), errorText: cutText(chunk.errorText, max) }];
    case "tool-output-available":
      return [{ ...chunk, output: cutValue(chunk.output, max) }];
    case "tool-output-error":
      return [{ ...chunk, errorText: cutText(chunk.errorText, max) }];
    default:
      return [chunk];
  }
}

function pieces(text: string): string[] {
  if (text.length <= DELTA_PIECE_CHARS) return [text];
  const out: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + DELTA_PIECE_CHARS);
    // Never between the halves of a surrogate pair.
    if (to < text.length && (text.charCodeAt(to - 1) & 0xfc00) === 0xd800) to--;
    out.push(text.slice(from, to));
    from = to;
  }
  return out;
}
