/** Which parts of messages are being written, from the events as they come. After a wake that is seen when one begins or ends. */
import type { SessionEvent } from "#protocol/events.ts";

export class OpenParts {
  readonly #open = new Set<string>();
  #isKnown = false;
  /** The last event after which no part was being written; undefined while this instance knows of none. */
  closedAt: number | undefined;

  take(events: readonly SessionEvent[]): void {
    for (const event of events) {
      if (event.type === "message.stop" || event.type === "run.finished") this.#clear();
      if (event.type === "message.delta") for (const chunk of event.data.chunks) this.#chunk(chunk);
      if (this.#isKnown && this.#open.size === 0) this.closedAt = event.seq;
    }
  }

  #clear(): void {
    this.#open.clear();
    this.#isKnown = true;
  }

  #chunk(chunk: Extract<SessionEvent, { type: "message.delta" }>["data"]["chunks"][number]): void {
    switch (chunk.type) {
      case "text-start":
      case "reasoning-start":
        this.#open.add(chunk.id);
        break;
      case "text-end":
      case "reasoning-end":
        this.#open.delete(chunk.id);
        break;
      case "tool-input-start":
        this.#open.add(chunk.toolCallId);
        break;
      case "tool-input-available":
      case "tool-input-error":
      case "tool-output-available":
      case "tool-output-error":
      case "tool-output-denied":
        this.#open.delete(chunk.toolCallId);
        break;
      default:
        return;
    }
    this.#isKnown = true;
  }
}
