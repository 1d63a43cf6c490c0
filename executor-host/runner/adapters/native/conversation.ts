/**
 * A conversation on disk: one JSONL file, a message of the AI SDK per line, in the agent's folder of the workspace, so that
 * it goes wherever the workspace goes. Written after every answer of the model, together with what its tools said: a run
 * that is cut short leaves whole steps, and never a call without its result, which models refuse.
 */
import { randomUUID } from "node:crypto";
import { appendFile, mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { ModelMessage } from "ai";

const CONVERSATION_ID = /^[0-9a-f-]{36}$/i;

/** About 150,000 tokens: what is older is left out, so that a long conversation can go on. */
const KEPT_CHARS = 600_000;

export class Conversation {
  readonly id: string;
  readonly #file: string;
  readonly #messages: ModelMessage[];

  private constructor(id: string, file: string, messages: ModelMessage[]) {
    this.id = id;
    this.#file = file;
    this.#messages = messages;
  }

  static async begin(folder: string): Promise<Conversation> {
    const id = randomUUID();
    await mkdir(path.join(folder, "conversations"), { recursive: true });
    return new Conversation(id, fileOf(folder, id), []);
  }

  /** Undefined when it is not on this disk. @throws the file system's error for one that cannot be read */
  static async resume(folder: string, id: string): Promise<Conversation | undefined> {
    if (!CONVERSATION_ID.test(id)) return undefined;
    try {
      const text = await readFile(fileOf(folder, id), "utf8");
      // A last line without its end was never written whole.
      const lines = text
        .slice(0, text.lastIndexOf("\n") + 1)
        .split("\n")
        .filter(Boolean);
      return new Conversation(
        id,
        fileOf(folder, id),
        lines.map((line) => JSON.parse(line)),
      );
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** What the model is told, and how many older messages are left out. It begins with a person's words. */
  recent(keptChars = KEPT_CHARS): { messages: ModelMessage[]; leftOut: number } {
    const sizes = this.#messages.map((message) => JSON.stringify(message).length);
    let total = sizes.reduce((sum, size) => sum + size, 0);
    const last = this.#messages.findLastIndex(({ role }) => role === "user");
    let from = 0;
    while (from < last && (total > keptChars || this.#messages[from]?.role !== "user")) total -= sizes[from++] ?? 0;
    return { messages: this.#messages.slice(from), leftOut: from };
  }

  /** A prompt, or one answer of the model with what its tools said; on disk when this returns. One that was cut short is not kept. */
  async add(messages: readonly ModelMessage[]): Promise<void> {
    if (messages.length === 0 || hasOpenCall(messages)) return;
    const lines = messages.map((message) => `${JSON.stringify(message)}\n`);
    await appendFile(this.#file, lines.join(""));
    this.#messages.push(...messages);
  }
}

function hasOpenCall(messages: readonly ModelMessage[]): boolean {
  type Part = { type: string; toolCallId?: string };
  const parts = messages.flatMap(({ content }): Part[] => (typeof content === "string" ? [] : content));
  const answered = new Set(parts.flatMap((part) => (part.type === "tool-result" ? [part.toolCallId] : [])));
  return parts.some((part) => part.type === "tool-call" && !answered.has(part.toolCallId));
}

function fileOf(folder: string, id: string): string {
  return path.join(folder, "conversations", `${id}.jsonl`);
}
