/** One wire API of model servers. Another one (OpenAI Responses, chat completions) is another object of this shape. */
import type { ServerResponse } from "node:http";
import type { Conversation } from "./conversation.ts";
import type { Reply } from "./scenarios.ts";

export interface Wire {
  /** `path` without query. */
  serves(path: string): boolean;
  read(body: unknown): Conversation;
  /** Sends the reply in this wire's own words; resolves when it is out or the other side has left. */
  send(response: ServerResponse, reply: Reply, conversation: Conversation): Promise<void>;
}

/** Writes one SSE event, with a name where the wire has names, and waits while the reader does not take it. */
export async function sendEvent(response: ServerResponse, event: string | undefined, data: unknown): Promise<void> {
  if (response.destroyed) return;
  const name = event === undefined ? "" : `event: ${event}\n`;
  if (response.write(`${name}data: ${JSON.stringify(data)}\n\n`)) return;
  await new Promise<void>((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}

/** Resolves when the other side has left. */
export function gone(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve();
  return new Promise((resolve) => response.once("close", () => resolve()));
}
