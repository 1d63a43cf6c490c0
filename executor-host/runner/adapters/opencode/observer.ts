/**
 * OpenCode's events, read on their way to the provider, which leaves out most of them: sub-agents' sessions, errors of the
 * model (a run of a wrong key would look like one that had nothing to say), retries, the to-do list, usage of children.
 */
import type { Todo } from "#protocol/events.ts";
import { TODO_STATUSES } from "#protocol/vocabulary.ts";
import { classify, evidenceOf, type Failure } from "../../failure.ts";
import type { AdapterContext, ProviderUsage } from "../adapter.ts";
import type { Event } from "./client.ts";

/** A tool's part as OpenCode says it. */
export type ToolPart = {
  callID: string;
  tool: string;
  state: {
    status: string;
    input?: Record<string, unknown>;
    output?: string;
    error?: string;
    metadata?: Record<string, unknown>;
  };
};
type Tokens = { input: number; output: number; reasoning: number; cache: { read: number; write: number } };
type MessageInfo = { id: string; role: string; tokens?: Tokens; cost?: number };
type SessionError = { name?: string; data?: { message?: string; statusCode?: number; responseBody?: string } };

/** OpenCode goes on trying with ever longer pauses; what has not come after this many is not waited for. */
const RETRIES = 2;

export class Observer {
  readonly #context: Pick<AdapterContext, "note" | "todos">;
  #sessionId: string | undefined;
  /** Of OpenCode: the conversation and its sub-agents. */
  readonly #sessions = new Set<string>();
  readonly #tools = new Map<string, ToolPart>();
  readonly #messages = new Map<string, MessageInfo>();
  readonly #gaveUp = Promise.withResolvers<void>();
  #failure: Failure | undefined;
  #ended = false;

  constructor(context: Pick<AdapterContext, "note" | "todos">) {
    this.#context = context;
  }

  /** What is told from now on is about this conversation. */
  follow(sessionId: string): void {
    this.#sessionId = sessionId;
    this.#sessions.add(sessionId);
  }

  get failure(): Failure | undefined {
    return this.#failure;
  }
  /** True once OpenCode has said that it has nothing more to do. */
  get ended(): boolean {
    return this.#ended;
  }
  /** Resolves when the model has not answered often enough. */
  get gaveUp(): Promise<void> {
    return this.#gaveUp.promise;
  }
  isSubAgent(sessionId: string): boolean {
    return sessionId !== this.#sessionId;
  }
  tool(callId: string): ToolPart | undefined {
    return this.#tools.get(callId);
  }

  /** Over the conversation and its sub-agents, of this run's messages. */
  get usage(): ProviderUsage | undefined {
    const all = [...this.#messages.values()];
    if (all.length === 0) return undefined;
    const sum = (pick: (tokens: Tokens) => number) =>
      all.reduce((total, { tokens }) => total + (tokens ? pick(tokens) : 0), 0);
    const costUsd = all.reduce((total, { cost }) => total + (cost ?? 0), 0);
    return {
      inputTokens: sum(({ input, cache }) => input + cache.read + cache.write),
      outputTokens: sum(({ output, reasoning }) => output + reasoning),
      cacheReadTokens: sum(({ cache }) => cache.read),
      cacheWriteTokens: sum(({ cache }) => cache.write),
      reasoningTokens: sum(({ reasoning }) => reasoning),
      // OpenCode knows no prices of models that it was only told the name of.
      ...(costUsd > 0 ? { costUsd } : {}),
    };
  }

  see(event: Event): void {
    switch (event.type) {
      case "session.created":
        if (this.#sessions.has(event.properties.info.parentID ?? "")) this.#sessions.add(event.properties.info.id);
        return;
      case "message.updated": {
        const info: MessageInfo & { sessionID: string } = event.properties.info;
        if (info.role === "assistant" && this.#sessions.has(info.sessionID)) this.#messages.set(info.id, info);
        return;
      }
      case "message.part.updated": {
        const { part } = event.properties;
        if (part.type === "tool") this.#tools.set(part.callID, part);
        return;
      }
      case "todo.updated":
        if (event.properties.sessionID === this.#sessionId) this.#context.todos(todosOf(event.properties.todos));
        return;
      case "session.status":
        this.#seeStatus(event.properties.sessionID, event.properties.status);
        return;
      case "session.error":
        if (event.properties.sessionID === this.#sessionId) this.#seeError(event.properties.error ?? {});
        return;
      case "session.idle":
        this.#ended ||= event.properties.sessionID === this.#sessionId;
    }
  }

  #seeStatus(sessionId: string, status: { type: string; attempt?: number; message?: string }): void {
    if (status.type === "idle") this.#ended ||= sessionId === this.#sessionId;
    if (status.type === "retry" && this.#sessions.has(sessionId))
      this.#seeRetry({ attempt: status.attempt ?? 1, message: status.message ?? "no words" });
  }

  #seeRetry({ attempt, message }: { attempt: number; message: string }): void {
    this.#context.note(`The model server did not answer (${message}); trying again.`);
    if (attempt <= RETRIES) return;
    this.#failure ??= { reason: classify(message), evidence: evidenceOf(message) };
    this.#gaveUp.resolve();
  }

  #seeError({ name, data }: SessionError): void {
    const words = data?.message ?? name ?? "an error without words";
    const context = name === "ContextOverflowError" ? " context window" : "";
    const all = `${words} ${data?.responseBody ?? ""}${context}`;
    this.#failure ??= { reason: classify(all, data?.statusCode), evidence: evidenceOf(words) };
  }
}

function todosOf(todos: readonly { content: string; status: string }[]): Todo[] {
  return todos.slice(0, 200).map(({ content, status }, index) => ({
    id: String(index + 1),
    text: content.slice(0, 2_000),
    status: TODO_STATUSES.find((known) => known === status) ?? "completed", // what was cancelled is not to be done
  }));
}
