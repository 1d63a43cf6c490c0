/**
 * Runner events into messages that fit the wire. Pure. Deltas of one message that arrive together become one event (one
 * event is one row of the session's log); nothing is dropped, and what is too large for any frame is cut with a note.
 */
import type { RunEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";

/** One message's worth of chunks; above it a new event begins. */
const CHUNKS_PER_EVENT = 1_000;
/** Bytes of events in one frame, with room for the envelope. */
export const BATCH_BYTES = LIMITS.frameBytes - 8 * 1024;
/** A merged event stays well below the limit of a row in the session's log. */
const MERGED_BYTES = 256 * 1024;
const CUT_NOTE = " … (cut by the host: too large for one event)";

/** Neighbouring deltas of the same message become one. */
export function mergeDeltas(events: readonly RunEvent[]): RunEvent[] {
  const merged: RunEvent[] = [];
  let bytes = 0;
  for (const event of events) {
    const last = merged.at(-1);
    const size = event.type === "message.delta" ? jsonBytes(event) : 0;
    const joins =
      last?.type === "message.delta" &&
      event.type === "message.delta" &&
      last.data.messageId === event.data.messageId &&
      last.data.chunks.length + event.data.chunks.length <= CHUNKS_PER_EVENT &&
      bytes + size <= MERGED_BYTES;
    if (joins) {
      const chunks = [...last.data.chunks, ...event.data.chunks];
      merged[merged.length - 1] = { type: "message.delta", data: { messageId: last.data.messageId, chunks } };
      bytes += size;
    } else {
      merged.push(event);
      bytes = size;
    }
  }
  return merged;
}

/** Splits events into lists that each fit one frame, in order. Oversized single events are split or cut. */
export function intoFrames(events: readonly RunEvent[], maxBytes = BATCH_BYTES): RunEvent[][] {
  const frames: RunEvent[][] = [];
  let frame: RunEvent[] = [];
  let bytes = 0;
  for (const event of events.flatMap((each) => fitting(each, maxBytes))) {
    const size = jsonBytes(event) + 1;
    if (frame.length > 0 && (frame.length >= LIMITS.eventsPerFrame || bytes + size > maxBytes)) {
      frames.push(frame);
      frame = [];
      bytes = 0;
    }
    frame.push(event);
    bytes += size;
  }
  if (frame.length > 0) frames.push(frame);
  return frames;
}

function fitting(event: RunEvent, maxBytes: number): RunEvent[] {
  if (jsonBytes(event) + 1 <= maxBytes) return [event];
  if (event.type === "message.delta" && event.data.chunks.length > 1) {
    const { messageId, chunks } = event.data;
    const middle = chunks.length >> 1;
    return [chunks.slice(0, middle), chunks.slice(middle)].flatMap((half) =>
      fitting({ type: "message.delta", data: { messageId, chunks: half } }, maxBytes),
    );
  }
  for (let maxChars = LIMITS.toolOutputBytes; maxChars > 16; maxChars >>= 1) {
    const cut = cutStrings(event, maxChars) as RunEvent;
    if (jsonBytes(cut) + 1 <= maxBytes) return [cut];
  }
  throw new Error(`a ${event.type} event cannot be made to fit ${maxBytes} bytes`);
}

function cutStrings(value: unknown, maxChars: number): unknown {
  if (typeof value === "string") return value.length > maxChars ? value.slice(0, maxChars) + CUT_NOTE : value;
  if (Array.isArray(value)) return value.map((item) => cutStrings(item, maxChars));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, cutStrings(item, maxChars)]));
}

function jsonBytes(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}
