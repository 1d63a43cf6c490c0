/**
 * What was said, as a fold over the same events: messages made of parts, in the AI SDK's vocabulary. A chunk that is
 * not known, or that names a part nobody opened, is ignored: a reader must survive a newer writer.
 */
import type { UIMessageChunk } from "ai";
import type { SessionEvent } from "./events.ts";

export type ToolState = "input-streaming" | "input-available" | "output-available" | "output-error" | "output-denied";

export type TextPart = { type: "text" | "reasoning"; id: string; text: string; state: "streaming" | "done" };
export type ToolPart = {
  type: "dynamic-tool";
  toolCallId: string;
  toolName: string;
  state: ToolState;
  title?: string;
  /** While the input streams: its raw text so far. */
  inputText?: string;
  input?: unknown;
  output?: unknown;
  /** More output is to come. */
  preliminary?: boolean;
  errorText?: string;
};
export type NoticePart = { type: "error"; text: string };
export type DataPart = { type: `data-${string}`; id?: string; data: unknown };
export type MessagePart = TextPart | ToolPart | NoticePart | DataPart;

export type Message = {
  id: string;
  role: "user" | "assistant";
  runId: string;
  at: number;
  parts: MessagePart[];
  state: "streaming" | "done";
};

export type Transcript = { cursor: number; messages: Message[] };

export const emptyTranscript: Transcript = { cursor: 0, messages: [] };

/** Folds one event. Pure; returns the same object when the event says nothing that is shown. */
export function applyToTranscript(transcript: Transcript, event: SessionEvent): Transcript {
  if (event.seq <= transcript.cursor) return transcript;
  const messages = nextMessages(transcript, event);
  return messages === transcript.messages && event.seq === transcript.cursor
    ? transcript
    : { cursor: event.seq, messages };
}

/** A message belongs to its run: what another run says under the same id is another message. */
function nextMessages({ messages, cursor }: Transcript, event: SessionEvent): Message[] {
  const runId = event.runId ?? "";
  switch (event.type) {
    case "session.prompted": {
      const parts: MessagePart[] = [{ type: "text", id: "0", text: event.data.text, state: "done" }];
      return [...messages, { id: event.data.messageId, role: "user", runId, at: event.at, parts, state: "done" }];
    }
    case "message.delta": {
      const { messageId, chunks } = event.data;
      const index = messages.findLastIndex((message) => message.id === messageId && message.runId === runId);
      const known = messages[index];
      const covered = event.from !== undefined && event.from <= cursor;
      // A folded event replaces what is known of it; any other goes on where the last one ended.
      const parts = covered ? (known?.parts.slice(0, event.fold?.parts ?? 0) ?? []) : (known?.parts ?? []);
      const message: Message = {
        id: messageId,
        role: "assistant",
        runId,
        at: known?.at ?? event.fold?.since ?? event.at,
        parts: applyChunks(parts, chunks),
        state: "streaming",
      };
      return known ? messages.with(index, message) : [...messages, message];
    }
    case "message.stop":
      return messages.map((message) =>
        message.id === event.data.messageId && message.runId === runId ? closeMessage(message) : message,
      );
    case "run.finished":
      return messages.some((message) => message.runId === runId && message.state === "streaming")
        ? messages.map((message) => (message.runId === runId ? closeMessage(message) : message))
        : messages;
    default:
      return messages;
  }
}

function closeMessage(message: Message): Message {
  const parts = message.parts.map((part) =>
    "state" in part && part.state === "streaming" ? { ...part, state: "done" as const } : part,
  );
  return { ...message, parts, state: "done" };
}

/** Folds chunks into parts. The array is copied once per call, not once per chunk. */
export function applyChunks(parts: readonly MessagePart[], chunks: readonly UIMessageChunk[]): MessagePart[] {
  const next = [...parts];
  addChunks(next, chunks);
  return next;
}

/** The same, into the array that is given: for whoever has it alone. */
export function addChunks(parts: MessagePart[], chunks: readonly UIMessageChunk[]): void {
  for (const chunk of chunks) applyChunk(parts, chunk);
}

function applyChunk(parts: MessagePart[], chunk: UIMessageChunk): void {
  switch (chunk.type) {
    case "text-start":
    case "reasoning-start":
      parts.push({
        type: chunk.type === "text-start" ? "text" : "reasoning",
        id: chunk.id,
        text: "",
        state: "streaming",
      });
      return;
    case "text-delta":
    case "reasoning-delta":
      change(parts, isText(chunk.type === "text-delta" ? "text" : "reasoning", chunk.id), (part) => ({
        ...part,
        text: part.text + chunk.delta,
      }));
      return;
    case "text-end":
    case "reasoning-end":
      change(parts, isText(chunk.type === "text-end" ? "text" : "reasoning", chunk.id), (part) => ({
        ...part,
        state: "done",
      }));
      return;
    case "tool-input-start":
      upsertTool(parts, chunk.toolCallId, chunk.toolName, (part) => ({ ...part, title: chunk.title, inputText: "" }));
      return;
    case "tool-input-delta":
      change(parts, isTool(chunk.toolCallId), (part) => ({
        ...part,
        inputText: (part.inputText ?? "") + chunk.inputTextDelta,
      }));
      return;
    case "tool-input-available":
      upsertTool(parts, chunk.toolCallId, chunk.toolName, ({ inputText: _raw, ...part }) => ({
        ...part,
        state: "input-available",
        title: chunk.title ?? part.title,
        input: chunk.input,
      }));
      return;
    case "tool-input-error":
      upsertTool(parts, chunk.toolCallId, chunk.toolName, (part) => ({
        ...part,
        state: "output-error",
        input: chunk.input,
        errorText: chunk.errorText,
      }));
      return;
    case "tool-output-available":
      change(parts, isTool(chunk.toolCallId), (part) => ({
        ...part,
        state: "output-available",
        output: chunk.output,
        preliminary: chunk.preliminary,
      }));
      return;
    case "tool-output-error":
      change(parts, isTool(chunk.toolCallId), (part) => ({
        ...part,
        state: "output-error",
        errorText: chunk.errorText,
      }));
      return;
    case "tool-output-denied":
      change(parts, isTool(chunk.toolCallId), (part) => ({ ...part, state: "output-denied" }));
      return;
    case "error":
      parts.push({ type: "error", text: chunk.errorText });
      return;
    default:
      if (chunk.type.startsWith("data-"))
        applyData(parts, chunk as { type: `data-${string}`; id?: string; data: unknown; transient?: boolean });
  }
}

function applyData(
  parts: MessagePart[],
  chunk: { type: `data-${string}`; id?: string; data: unknown; transient?: boolean },
): void {
  if (chunk.transient) return;
  const part: DataPart = { type: chunk.type, id: chunk.id, data: chunk.data };
  const index =
    chunk.id === undefined
      ? -1
      : parts.findIndex((known) => known.type === chunk.type && "id" in known && known.id === chunk.id);
  if (index < 0) parts.push(part);
  else parts[index] = part;
}

const isText =
  (type: TextPart["type"], id: string) =>
  (part: MessagePart): part is TextPart =>
    part.type === type && (part as TextPart).id === id;
const isTool =
  (toolCallId: string) =>
  (part: MessagePart): part is ToolPart =>
    part.type === "dynamic-tool" && (part as ToolPart).toolCallId === toolCallId;

function change<P extends MessagePart>(
  parts: MessagePart[],
  is: (part: MessagePart) => part is P,
  to: (part: P) => P,
): boolean {
  const index = parts.findLastIndex(is);
  const part = parts[index];
  if (!part || !is(part)) return false;
  parts[index] = to(part);
  return true;
}

function upsertTool(
  parts: MessagePart[],
  toolCallId: string,
  toolName: string,
  to: (part: ToolPart) => ToolPart,
): void {
  if (!change(parts, isTool(toolCallId), to))
    parts.push(to({ type: "dynamic-tool", toolCallId, toolName, state: "input-streaming" }));
}

/** The plain text of a message, as `message.stop` and the aggregate answer carry it. */
export function messageText(message: Message): string {
  return message.parts.flatMap((part) => (part.type === "text" ? [(part as TextPart).text] : [])).join("\n\n");
}
