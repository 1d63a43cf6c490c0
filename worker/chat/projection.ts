/**
 * One run as one message of the AI SDK's UI message stream (v1). Knows no platform: events in, chunks out, the same
 * chunks for the same events, so that a client that comes back is told the same message from its beginning.
 *
 *   message.delta     its chunks as they are            run.status    data-status, transient
 *   todo.update       data-todo, always the same part   run.finished  error or abort, then finish
 *   human_loop.*      data-human-loop, a part per request
 */
import type { UIMessageChunk } from "ai";
import type { EventData, HumanLoopRequest, RunFinishedData, SessionEvent, Todo, Usage } from "#protocol/events.ts";
import { OpenParts } from "./open-parts.ts";

type Finish = Extract<UIMessageChunk, { type: "finish" }>;
type Named = { sessionId: string; runId: string };

export class ChatProjection {
  readonly #run: Named;
  readonly #parts = new OpenParts();
  readonly #pending = new Map<string, HumanLoopRequest>();
  #started = false;
  /** A list that came before the message it belongs to. */
  #heldTodos: Todo[] | undefined;
  #usage: Usage | undefined;

  constructor({ sessionId, runId }: Named) {
    this.#run = { sessionId, runId };
  }

  /** The chunks that an event of the run means to a client; events are given in order, each once. */
  take(event: SessionEvent): UIMessageChunk[] {
    switch (event.type) {
      case "run.status": {
        const { state, detail, attempt } = event.data;
        return [{ type: "data-status", data: { state, detail, attempt }, transient: true }];
      }
      case "message.delta": {
        const { messageId, chunks } = event.data;
        return [...this.#start(messageId), ...chunks.filter((chunk) => this.#parts.takes(chunk))];
      }
      case "message.stop":
        return this.#parts.close();
      case "todo.update":
        if (this.#started) return [todos(event.data.items)];
        this.#heldTodos = event.data.items;
        return [];
      case "human_loop.requested":
        this.#pending.set(event.data.requestId, event.data);
        return [...this.#start(), humanLoop(event.data, { state: "pending" })];
      case "human_loop.resolved":
        return this.#resolve(event.data);
      case "usage.recorded":
        this.#usage = event.data;
        return [];
      case "run.finished":
        return this.#finish(event.data);
      case "session.created":
      case "session.updated":
      case "session.deleted":
      case "session.prompted":
      case "worker.status":
      case "workspace.synced":
      case "human_loop.seen":
      case "workspace.sync_failed":
      case "workspace.sync_decided":
      case "workspace.kept":
        return [];
      default:
        return event satisfies never;
    }
  }

  /**
   * The message begins when there is something of it, under the id it has everywhere else. A run that asks before it
   * says anything has no such id yet and gives its own.
   */
  #start(messageId: string = this.#run.runId): UIMessageChunk[] {
    if (this.#started) return [];
    this.#started = true;
    const start: UIMessageChunk = { type: "start", messageId, messageMetadata: this.#run };
    return this.#heldTodos ? [start, todos(this.#heldTodos)] : [start];
  }

  #resolve(resolution: EventData<"human_loop.resolved">): UIMessageChunk[] {
    const request = this.#pending.get(resolution.requestId);
    if (!request) return [];
    this.#pending.delete(resolution.requestId);
    return [humanLoop(request, { state: "resolved", ...resolution })];
  }

  #finish(data: RunFinishedData): UIMessageChunk[] {
    const { outcome, reason, evidence, usage = this.#usage } = data;
    const unanswered = [...this.#pending.keys()].flatMap((requestId) =>
      this.#resolve({ requestId, decision: "cancelled" }),
    );
    return [
      ...this.#start(),
      ...this.#parts.close(),
      ...unanswered,
      ...lastWords(data),
      {
        type: "finish",
        finishReason: FINISH_REASON[outcome],
        messageMetadata: { ...this.#run, outcome, reason, evidence, usage },
      },
    ];
  }
}

const FINISH_REASON: Record<RunFinishedData["outcome"], Finish["finishReason"]> = {
  succeeded: "stop",
  failed: "error",
  timed_out: "error",
  cancelled: "other",
};

function lastWords({ outcome, reason = "internal", evidence }: RunFinishedData): UIMessageChunk[] {
  if (outcome === "succeeded") return [];
  if (outcome === "cancelled") return [evidence ? { type: "abort", reason: evidence } : { type: "abort" }];
  const why = outcome === "timed_out" ? "timeout" : reason;
  return [{ type: "error", errorText: evidence ? `${why}: ${evidence}` : why }];
}

function todos(items: Todo[]): UIMessageChunk {
  return { type: "data-todo", id: "todo", data: { items } };
}

function humanLoop(request: HumanLoopRequest, state: { state: "pending" | "resolved" }): UIMessageChunk {
  return { type: "data-human-loop", id: request.requestId, data: { ...request, ...state } };
}
