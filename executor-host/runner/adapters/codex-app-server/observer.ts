/**
 * What passes between the provider and Codex, read along: the conversation's name, plans, usage, errors, items. The AI
 * SDK's stream carries less of it: no plan, of usage only the last call's, of an error no status.
 */
import type { Todo } from "#protocol/events.ts";
import type { TodoStatus } from "#protocol/vocabulary.ts";
import type { Failure } from "../../failure.ts";
import type { AdapterContext } from "../adapter.ts";
import type { Message } from "./app-server.ts";
import { type CodexError, failureOf, statusOf } from "./errors.ts";
import { type Item, inputOf, outputOf } from "./items.ts";
import { Spending, type Tokens } from "./spending.ts";

type Params = {
  threadId?: string;
  turnId?: string;
  item?: Item;
  turn?: { id?: string; status?: string; error?: CodexError | null };
  plan?: { step?: string; status?: string }[];
  tokenUsage?: { total: Tokens; last: Tokens };
  error?: CodexError;
  willRetry?: boolean;
};

const TODO_STATUSES: Readonly<Record<string, TodoStatus>> = { completed: "completed", inProgress: "in_progress" };

/** The provider puts this before the first prompt of a thread, as if it wrote down a conversation. */
const PREFIX = "User: ";

export class Observer {
  readonly #context: Pick<AdapterContext, "conversation" | "emit" | "note" | "todos">;
  readonly #items = new Map<string, Item>();
  readonly #turns = new Set<string>();
  readonly #spending = new Spending();
  readonly #turnEnded = Promise.withResolvers<void>();
  #threadId: string | undefined;
  #turnId: string | undefined;
  #failure: Failure | undefined;

  constructor(context: Pick<AdapterContext, "conversation" | "emit" | "note" | "todos">) {
    this.#context = context;
  }

  /** The conversation; its sub-agents have threads of their own. */
  get threadId(): string | undefined {
    return this.#threadId;
  }
  get turnId(): string | undefined {
    return this.#turnId;
  }
  get usage() {
    return this.#spending.usage;
  }
  /** The failure that Codex itself reported; undefined when it reported none. */
  get failure(): Failure | undefined {
    return this.#failure;
  }
  /** Resolves when Codex has ended the conversation's turn, in whatever way. */
  get turnEnded(): Promise<void> {
    return this.#turnEnded.promise;
  }

  /** The last that was said of a command, a patch or a tool; of any thread. */
  item(id: string): Item | undefined {
    return this.#items.get(id);
  }

  toCodex({ method, params }: Message): void {
    if (method !== "turn/start" || !params || this.#threadId !== undefined) return;
    this.#threadId = String(params.threadId);
    this.#context.conversation(this.#threadId);
    for (const part of (params.input ?? []) as { text?: string }[]) {
      if (part.text?.startsWith(PREFIX)) part.text = part.text.slice(PREFIX.length);
    }
  }

  fromCodex(message: Message): void {
    const params = (message.params ?? {}) as Params;
    const isMain = params.threadId === this.#threadId;
    switch (message.method) {
      case "turn/started":
        if (params.turn?.id === undefined) return;
        this.#turns.add(params.turn.id);
        if (isMain) this.#turnId = params.turn.id;
        return;
      case "item/started":
      case "item/completed":
        if (params.item) this.#seeItem(params.item, message.method === "item/completed", isMain);
        return;
      case "turn/plan/updated":
        if (isMain && params.plan) this.#context.todos(todosOf(params.plan));
        return;
      case "thread/tokenUsage/updated": {
        const { threadId, turnId, tokenUsage } = params;
        if (threadId && tokenUsage)
          this.#spending.add(threadId, tokenUsage.total, tokenUsage.last, this.#turns.has(turnId ?? ""));
        return;
      }
      case "error":
        if (isMain && params.error) this.#seeError(params.error, params.willRetry === true);
        return;
      case "turn/completed":
        if (!isMain) return;
        if (params.turn?.status === "failed") this.#failure ??= failureOf(params.turn.error ?? {});
        this.#turnEnded.resolve();
    }
  }

  #seeItem(item: Item, isDone: boolean, isMain: boolean): void {
    if (item.id === undefined) return;
    this.#items.set(item.id, item);
    if (!isMain) return;
    if (isDone && item.type === "contextCompaction") this.#context.note("The conversation was made shorter.");
    // The provider knows nothing of sub-agents.
    if (item.type !== "collabAgentToolCall") return;
    const call = { toolCallId: item.id, toolName: "agent", providerExecuted: true, dynamic: true };
    if (isDone) this.#context.emit(outputOf(item.id, item));
    else this.#context.emit({ type: "tool-input-available", ...call, input: inputOf(item) });
  }

  #seeError(error: CodexError, willRetry: boolean): void {
    if (!willRetry) {
      this.#failure = failureOf(error);
      return;
    }
    const status = statusOf(error);
    const said = status ? `answered ${status}` : "broke off or did not answer";
    this.#context.note(`The model server ${said}; trying again.`);
  }
}

function todosOf(plan: { step?: string; status?: string }[]): Todo[] {
  return plan.slice(0, 200).map(({ step = "", status = "" }, index) => ({
    id: String(index + 1),
    text: step.slice(0, 2_000),
    status: TODO_STATUSES[status] ?? "pending",
  }));
}
