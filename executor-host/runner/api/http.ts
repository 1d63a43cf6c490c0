/** The small part of HTTP that the runner's API needs: JSON in with a bound, JSON out, refusals of one shape. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { deeperThan } from "#protocol/frame.ts";
import { LIMITS } from "#protocol/limits.ts";

/** What is needed of a protocol schema here. */
type Schema<T> = {
  safeParse(
    json: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } };
};

/** A refusal on its way out: thrown by whatever reads a request, answered by the server. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.reason = reason;
  }
}

/** A start order carries a prompt and options; JSON may double the prompt by escaping. */
export const BODY_BYTES = LIMITS.httpBodyBytes + 2 * LIMITS.promptBytes;

/** @throws Refusal 400 (not JSON, not the schema), 413 */
export async function readJson<T>(request: IncomingMessage, schema: Schema<T>): Promise<T> {
  const text = await readText(request);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Refusal(400, "bad_request", "The body is not JSON.");
  }
  if (deeperThan(json, LIMITS.jsonDepth)) throw new Refusal(400, "bad_request", "The body is nested too deeply.");
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(400, "bad_request", `${issue?.path.join(".") || "body"}: ${issue?.message ?? "not understood"}`);
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.byteLength;
    if (bytes > BODY_BYTES) throw new Refusal(413, "too_large", `A body may have at most ${BODY_BYTES} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
  response.end(text);
}

export function sendRefusal(response: ServerResponse, status: number, reason: string, message: string): void {
  // What is left of a body that was too large is not read: the connection goes with the answer.
  if (status === 413) response.setHeader("connection", "close");
  sendJson(response, status, { ok: false, reason, message });
}
