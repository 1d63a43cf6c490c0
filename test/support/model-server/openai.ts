/** What OpenAI's two wires have in common: how they say an error, and how much every answer claims to have cost. */
import type { ServerResponse } from "node:http";

/** Tokens that every answer claims, so that tests can say what must arrive. Input counts what the cache gave. */
export const OPENAI_USAGE = { input: 1_200, cached: 800, output: 34, reasoning: 10 };

const ERRORS: Readonly<Record<number, { type: string; code: string }>> = {
  401: { type: "invalid_request_error", code: "invalid_api_key" },
  403: { type: "invalid_request_error", code: "permission_denied" },
  404: { type: "invalid_request_error", code: "model_not_found" },
  429: { type: "rate_limit_error", code: "rate_limit_exceeded" },
};

export function sendOpenaiError(response: ServerResponse, status: number, message: string): void {
  const isTooLong = status === 400 && /too long/.test(message);
  const { type, code } = ERRORS[status] ?? {
    type: status < 500 ? "invalid_request_error" : "server_error",
    code: isTooLong ? "context_length_exceeded" : null,
  };
  const headers = { "content-type": "application/json", ...(status === 429 ? { "retry-after": "0" } : {}) };
  response.writeHead(status, headers).end(JSON.stringify({ error: { message, type, param: null, code } }));
}

/** The text of a message, whatever list of blocks it is in. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((block: { text?: string } | null) => block?.text ?? "").join("\n");
}

/** A patch that makes a file, in the grammar that OpenAI's models were taught. */
export function addFile({ path, text }: { path: string; text: string }): string {
  const lines = text.split("\n").map((line) => `+${line}\n`);
  return `*** Begin Patch\n*** Add File: ${path}\n${lines.join("")}*** End Patch`;
}
