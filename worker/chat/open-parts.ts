/**
 * What of a host's chunks may go to an AI SDK client. That client gives up the whole answer when a chunk is not what its
 * schema says or names a part that nobody opened; our own readers step over such a chunk (transcript.ts). So it is
 * stepped over here, too, and everything else passes as it is.
 */
import type { UIMessageChunk } from "ai";

type Data = `data-${string}`;
type Known = Exclude<UIMessageChunk["type"], Data>;

/**
 * The fields a chunk cannot do without; the compiler keeps the table complete. `ours`: how an answer begins and ends is
 * said by the run's own events, whatever the provider thinks of it.
 */
const NEEDED: Record<Known, readonly string[] | "ours"> = {
  start: "ours",
  finish: "ours",
  abort: "ours",
  error: "ours",
  "start-step": [],
  "finish-step": [],
  "reset-step": [],
  "message-metadata": [],
  "text-start": ["id"],
  "text-delta": ["id", "delta"],
  "text-end": ["id"],
  "reasoning-start": ["id"],
  "reasoning-delta": ["id", "delta"],
  "reasoning-end": ["id"],
  "tool-input-start": ["toolCallId", "toolName"],
  "tool-input-delta": ["toolCallId", "inputTextDelta"],
  "tool-input-available": ["toolCallId", "toolName"],
  "tool-input-error": ["toolCallId", "toolName", "errorText"],
  "tool-approval-request": ["toolCallId", "approvalId"],
  "tool-approval-response": ["approvalId", "approved"],
  "tool-output-available": ["toolCallId"],
  "tool-output-error": ["toolCallId", "errorText"],
  "tool-output-denied": ["toolCallId"],
  "source-url": ["sourceId", "url"],
  "source-document": ["sourceId", "mediaType", "title"],
  file: ["url", "mediaType"],
  "reasoning-file": ["url", "mediaType"],
  "steering-message": ["id", "parts"],
  custom: ["kind"],
};

/** Of which type a field is wherever it appears; fields that are not here may hold anything. */
const TYPES: Readonly<Record<string, "string" | "boolean" | "object">> = {
  ...fields("string", "id", "delta", "toolCallId", "toolName", "inputTextDelta", "errorText", "approvalId", "kind"),
  ...fields("string", "sourceId", "url", "mediaType", "title", "filename", "reason", "signature", "inputEncoding"),
  ...fields("boolean", "approved", "dynamic", "providerExecuted", "preliminary", "isAutomatic", "transient"),
  ...fields("object", "parts", "providerMetadata", "toolMetadata", "citations"),
};

function fields<T>(type: T, ...names: string[]): Record<string, T> {
  return Object.fromEntries(names.map((name) => [name, type]));
}

function isWellFormed(chunk: UIMessageChunk): boolean {
  const isData = chunk.type.startsWith("data-");
  const needed = isData ? [] : Object.hasOwn(NEEDED, chunk.type) ? NEEDED[chunk.type as Known] : "ours";
  if (needed === "ours" || needed.some((name) => !Object.hasOwn(chunk, name))) return false;
  return Object.entries(chunk).every(([name, value]) => {
    const type = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
    return type === undefined || (typeof value === type && value !== null);
  });
}

/** The parts of one answer that are open for more. */
export class OpenParts {
  /** Texts and reasonings by kind and id, in the order they were opened. */
  readonly #texts = new Set<string>();
  /** Tool calls whose input streams, all tool calls with the step they began in, and what was asked about them. */
  readonly #inputs = new Set<string>();
  readonly #tools = new Map<string, number>();
  readonly #approvals = new Set<string>();
  #step = 0;

  /** True when a client understands this chunk after those that were taken before; it is counted then. */
  takes(chunk: UIMessageChunk): boolean {
    if (!isWellFormed(chunk)) return false;
    switch (chunk.type) {
      case "text-start":
      case "reasoning-start":
        this.#texts.add(keyOf(chunk));
        return true;
      case "text-delta":
      case "reasoning-delta":
        return this.#texts.has(keyOf(chunk));
      case "text-end":
      case "reasoning-end":
        return this.#texts.delete(keyOf(chunk));
      case "tool-input-start":
        this.#inputs.add(chunk.toolCallId);
        this.#tools.set(chunk.toolCallId, this.#step);
        return true;
      case "tool-input-delta":
        return this.#inputs.has(chunk.toolCallId);
      case "tool-input-available":
      case "tool-input-error":
        this.#tools.set(chunk.toolCallId, this.#step);
        return true;
      case "tool-approval-request":
        if (!this.#tools.has(chunk.toolCallId)) return false;
        this.#approvals.add(chunk.approvalId);
        return true;
      case "tool-approval-response":
        return this.#approvals.has(chunk.approvalId);
      case "tool-output-available":
      case "tool-output-error":
      case "tool-output-denied":
        return this.#tools.has(chunk.toolCallId);
      case "start-step":
        this.#step++;
        return true;
      case "reset-step":
        this.#forgetStep();
        return true;
      default:
        return true;
    }
  }

  /** The ends of the texts that a run left open. */
  close(): UIMessageChunk[] {
    const ends = [...this.#texts].map((key): UIMessageChunk => {
      const [kind, id] = [key.slice(0, key.indexOf(":")), key.slice(key.indexOf(":") + 1)];
      return { type: kind === "text" ? "text-end" : "reasoning-end", id };
    });
    this.#texts.clear();
    return ends;
  }

  #forgetStep(): void {
    this.#texts.clear();
    this.#inputs.clear();
    for (const [id, step] of this.#tools) if (step === this.#step) this.#tools.delete(id);
    this.#approvals.clear();
  }
}

function keyOf({ type, id }: { type: `${"text" | "reasoning"}-${string}`; id: string }): string {
  return `${type.slice(0, type.indexOf("-"))}:${id}`;
}
