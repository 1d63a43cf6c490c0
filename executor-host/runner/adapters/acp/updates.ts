/** What an agent says while it works, as chunks, to-do lists and costs of a run. */
import type { UIMessageChunk } from "ai";
import type { Todo } from "#protocol/events.ts";
import { TODO_STATUSES } from "#protocol/vocabulary.ts";
import type { AdapterContext } from "../adapter.ts";
import { todosOf } from "../claude-code/todos.ts";
import { diffsOf, inputOf, nameOf, outputOf, shownWith, textOf } from "./tool-calls.ts";
import type { ToolCall, Update } from "./wire.ts";

type Open = { kind: "text" | "reasoning"; id: string; messageId: string | undefined };

export class Updates {
  readonly #context: Pick<AdapterContext, "emit" | "todos">;
  readonly #calls = new Map<string, ToolCall>();
  readonly #ended = new Set<string>();
  readonly #denied = new Set<string>();
  /** The history that a loaded session is told again is not said again. */
  #replaying = false;
  #open: Open | undefined;
  #parts = 0;
  #produced = false;
  #costBefore = 0;
  #cost: number | undefined;

  constructor(context: Pick<AdapterContext, "emit" | "todos">) {
    this.#context = context;
  }

  /** Whether there was anything to see. */
  get produced(): boolean {
    return this.#produced;
  }
  /** In US dollars, of this run; agents count from the beginning of the conversation, or from their own. */
  get costUsd(): number | undefined {
    if (this.#cost === undefined) return undefined;
    return this.#cost < this.#costBefore ? this.#cost : this.#cost - this.#costBefore;
  }
  /** As the agent counts. */
  get wholeCostUsd(): number | undefined {
    return this.#cost;
  }
  /** What the conversation had cost before this run. */
  set costBefore(usd: number) {
    this.#costBefore = Math.max(this.#costBefore, usd);
  }

  /** What a call is known as; of any moment of it. */
  call(toolCallId: string): ToolCall | undefined {
    return this.#calls.get(toolCallId);
  }

  replay(isReplaying: boolean): void {
    this.#replaying = isReplaying;
    if (isReplaying) return;
    this.#costBefore = this.#cost ?? 0;
    this.#cost = undefined;
  }

  /** People refused this call: its failure is that. */
  deny(toolCallId: string): void {
    this.#denied.add(toolCallId);
  }

  see(update: Update): void {
    if (update.sessionUpdate === "usage_update") {
      const { amount, currency } = update.cost ?? {};
      if (typeof amount === "number" && (currency ?? "USD") === "USD") this.#cost = amount;
    }
    if (this.#replaying) return;
    switch (update.sessionUpdate) {
      case "agent_message_chunk":
        return this.#say("text", update);
      case "agent_thought_chunk":
        return this.#say("reasoning", update);
      case "tool_call":
      case "tool_call_update":
        return this.#seeCall(update);
      case "plan":
        return this.#context.todos(planOf(update.entries ?? []));
    }
  }

  /** A call that is known from what people are asked about it, too. */
  seeCall(call: ToolCall): void {
    if (!this.#replaying) this.#seeCall(call);
  }

  /** Ends the part that is open. */
  close(): void {
    if (this.#open) this.#context.emit({ type: `${this.#open.kind}-end`, id: this.#open.id });
    this.#open = undefined;
  }

  #say(kind: Open["kind"], { content, messageId }: Update): void {
    const text = textOf(content);
    if (text === "") return;
    const message = messageId ?? undefined;
    if (this.#open?.kind !== kind || this.#open.messageId !== message) {
      this.close();
      this.#open = { kind, id: `${kind}-${++this.#parts}`, messageId: message };
      this.#context.emit({ type: `${kind}-start`, id: this.#open.id });
    }
    this.#produced ||= kind === "text";
    this.#context.emit({ type: `${kind}-delta`, id: this.#open.id, delta: text });
  }

  #seeCall(update: ToolCall): void {
    const { toolCallId } = update;
    if (toolCallId === undefined || this.#ended.has(toolCallId)) return;
    const before = this.#calls.get(toolCallId);
    // What an update leaves out stays as it was.
    const said = Object.fromEntries(
      Object.entries(update).filter(([, value]) => value !== undefined && value !== null),
    );
    const _meta = { ...before?._meta, ...update._meta };
    const call: ToolCall = { ...before, ...said, _meta, shown: shownWith(before?.shown, update) };
    this.#calls.set(toolCallId, call);
    this.#produced = true;
    this.close();
    const shown = before && JSON.stringify([nameOf(before), inputOf(before)]);
    if (shown !== JSON.stringify([nameOf(call), inputOf(call)])) this.#context.emit(inputChunk(toolCallId, call));
    const todos = /todo/i.test(nameOf(call)) ? todosOf(call.rawInput) : undefined;
    if (todos) this.#context.todos(todos);
    if (call.status !== "completed" && call.status !== "failed") return;
    this.#ended.add(toolCallId);
    this.#context.emit(this.#outputChunk(toolCallId, call));
  }

  #outputChunk(toolCallId: string, call: ToolCall): UIMessageChunk {
    const base = { toolCallId, providerExecuted: true, dynamic: true } as const;
    if (call.status === "completed") return { type: "tool-output-available", ...base, output: outputOf(call) };
    if (this.#denied.has(toolCallId)) return { type: "tool-output-denied", toolCallId };
    // A command that ended with an exit code is a failure to some agents; people want to see what it printed.
    const output = outputOf(call);
    if (typeof output === "object") return { type: "tool-output-available", ...base, output };
    return { type: "tool-output-error", ...base, errorText: output || "The tool failed." };
  }
}

function inputChunk(toolCallId: string, call: ToolCall): UIMessageChunk {
  const parentToolCallId = call._meta?.claudeCode?.parentToolUseId;
  return {
    type: "tool-input-available",
    toolCallId,
    toolName: nameOf(call),
    input: { ...inputOf(call), ...diffsOf(call) },
    providerExecuted: true,
    dynamic: true,
    ...(call.title ? { title: call.title.slice(0, 500) } : {}),
    ...(parentToolCallId === undefined ? {} : { providerMetadata: { acp: { parentToolCallId } } }),
  };
}

function planOf(entries: { content?: string; status?: string }[]): Todo[] {
  return entries.slice(0, 200).map(({ content = "", status }, index) => ({
    id: String(index + 1),
    text: content.slice(0, 2_000),
    status: TODO_STATUSES.find((known) => known === status) ?? "pending",
  }));
}
