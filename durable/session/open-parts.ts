/** Which parts of messages are being written, from the events as they come: cheap, and no more than a good guess after a wake. */
import type { SessionEvent } from "#protocol/events.ts";

export class OpenParts {
  readonly #open = new Set<string>();
  /** The last event after which no part was being written; undefined when this instance has seen none. */
  closedAt: number | undefined;

  take(events: readonly SessionEvent[]): void {
    for (const event of events) {
      if (event.type === "message.stop" || event.type === "run.finished") this.#open.clear();
      if (event.type === "message.delta") for (const chunk of event.data.chunks) this.#chunk(chunk);
      if (this.#open.size === 0) this.closedAt = event.seq;
    }
  }

  #chunk(chunk: Extract<SessionEvent, { type: "message.delta" }>["data"]["chunks"][number]): void {
    switch (chunk.type) {
      case "text-start":
      case "reasoning-start":
        this.#open.add(chunk.id);
        return;
      case "text-end":
      case "reasoning-end":
        this.#open.delete(chunk.id);
        return;
      case "tool-input-start":
        this.#open.add(chunk.toolCallId);
        return;
      case "tool-input-available":
      case "tool-input-error":
      case "tool-output-available":
      case "tool-output-error":
      case "tool-output-denied":
        this.#open.delete(chunk.toolCallId);
    }
  }
}
