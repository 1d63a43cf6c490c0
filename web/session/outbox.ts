/** Prompts on their way, in the browser's storage: a reload in the wrong moment must not lose what was typed. */
import type { Outgoing } from "./session-state.ts";

const key = (sessionId: string): string => `gantry.outbox.${sessionId}`;
/** Older ones would surprise: whoever closed the page an hour ago has moved on. */
const KEPT_MS = 10 * 60_000;

export function browserOutbox(sessionId: string) {
  return {
    load(): readonly Outgoing[] {
      const text = localStorage.getItem(key(sessionId));
      if (!text) return [];
      const kept = JSON.parse(text) as Outgoing[];
      return kept
        .filter((item) => item.at > Date.now() - KEPT_MS)
        .map(({ command, at }) => ({ command, at, state: "sending" }));
    },
    save(outgoing: readonly Outgoing[]): void {
      const prompts = outgoing.filter((item) => item.command.type === "prompt" && item.state !== "refused");
      if (prompts.length > 0) localStorage.setItem(key(sessionId), JSON.stringify(prompts));
      else localStorage.removeItem(key(sessionId));
    },
  };
}
