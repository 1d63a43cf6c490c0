/**
 * Folds the deltas of messages: neighbours become one event that says the same. Pure; events in, fewer events out.
 *
 *   7 delta  8 delta  9 todo.update  10 delta  11 delta   →   8 delta (from 7)   9 todo.update   11 delta (from 10)
 *
 * What lies between deltas stays where it was: its place in the message is its place in the log. A folded event replaces
 * what it covers, so it stands on its own: text that goes on in a part which is older than the fold stays as it is.
 */
import type { UIMessageChunk } from "ai";
import type { SessionEvent } from "#protocol/events.ts";
import { addedText, streamedText, withText } from "#protocol/join-text.ts";
import { addChunks, type Message, type MessagePart } from "#protocol/transcript.ts";

type Delta = Extract<SessionEvent, { type: "message.delta" }>;

/** A fold ends here where nothing is open, and at the second wherever it stands; a row takes LIMITS.logRowBytes. */
const FOLD_BYTES = 256 * 1024;
const FOLD_BYTES_AT_MOST = 768 * 1024;
/** As many as an event may have (events.ts). */
const FOLD_CHUNKS = 5_000;

/** A stretch of deltas of one message. `older`: how many parts the message had before. */
type Stretch = {
  message: string;
  older: number;
  first: Delta;
  last: Delta;
  chunks: UIMessageChunk[];
  bytes: number;
};

/**
 * @param events in order, and of every message in them all of its deltas from where `begun` ends
 * @param begun messages as far as they were folded before
 */
export function* foldDeltas(events: Iterable<SessionEvent>, begun: readonly Message[] = []): Generator<SessionEvent> {
  const messages = new Map(begun.map(({ runId, id, parts }) => [`${runId} ${id}`, [...parts]]));
  let stretch: Stretch | undefined;
  for (const event of events) {
    if (event.type !== "message.delta") {
      if (stretch) yield closed(stretch);
      stretch = undefined;
      yield event;
      continue;
    }
    const message = `${event.runId} ${event.data.messageId}`;
    const parts = messages.get(message) ?? [];
    messages.set(message, parts);
    if (stretch && (stretch.message !== message || isFull(stretch, parts) || goesOn(event, parts, stretch.older))) {
      yield closed(stretch);
      stretch = undefined;
    }
    if (!stretch && goesOn(event, parts, parts.length)) yield event;
    else {
      stretch ??= { message, older: parts.length, first: event, last: event, chunks: [], bytes: 0 };
      stretch.last = event;
      for (const chunk of event.data.chunks) stretch.bytes += put(stretch.chunks, chunk);
    }
    addChunks(parts, event.data.chunks);
  }
  if (stretch) yield closed(stretch);
}

function closed({ first, last, chunks, older }: Stretch): SessionEvent {
  if (first === last) return first;
  const { messageId } = last.data;
  const fold = { since: first.fold?.since ?? first.at, parts: older };
  return { ...last, from: first.from ?? first.seq, fold, data: { messageId, chunks } };
}

/** Whether a fold has to end before the next delta. `parts` is the message so far. */
function isFull({ bytes, chunks, older }: Stretch, parts: readonly MessagePart[]): boolean {
  if (bytes > FOLD_BYTES_AT_MOST) return true;
  if (bytes <= FOLD_BYTES && chunks.length <= FOLD_CHUNKS) return false;
  return parts.slice(older).every((part) => !("state" in part) || !part.state.endsWith("streaming"));
}

/** Whether the delta adds text to a part that the message had before its part number `older`. */
function goesOn({ data }: Delta, parts: readonly MessagePart[], older: number): boolean {
  const opened = new Set<string>();
  return data.chunks.some((chunk) => {
    if (chunk.type.endsWith("-start")) opened.add(keyOf(chunk) ?? "");
    const key = appends(chunk) ? keyOf(chunk) : undefined;
    if (key === undefined || opened.has(key)) return false;
    const index = parts.findLastIndex((part) => keyOfPart(part) === key);
    return index >= 0 && index < older;
  });
}

const appends = ({ type }: UIMessageChunk): boolean =>
  type === "text-delta" || type === "reasoning-delta" || type === "tool-input-delta";

function keyOf(chunk: UIMessageChunk): string | undefined {
  if ("toolCallId" in chunk) return `tool ${chunk.toolCallId}`;
  return "id" in chunk ? `${chunk.type.slice(0, chunk.type.indexOf("-"))} ${chunk.id}` : undefined;
}

function keyOfPart(part: MessagePart): string | undefined {
  if ("toolCallId" in part) return `tool ${part.toolCallId}`;
  return part.type === "text" || part.type === "reasoning" ? `${part.type} ${"id" in part && part.id}` : undefined;
}

/** Adds a chunk, or its text to its neighbour's. Answers the size that came to it. */
function put(chunks: UIMessageChunk[], chunk: UIMessageChunk): number {
  const last = chunks.at(-1);
  const added = last && addedText(last, chunk);
  if (!last || added === undefined) {
    chunks.push(chunk);
    return JSON.stringify(chunk).length;
  }
  chunks[chunks.length - 1] = withText(last, (streamedText(last) ?? "") + added);
  return added.length;
}
