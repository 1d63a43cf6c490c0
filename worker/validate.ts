/**
 * Checks what a caller sent, and tells the OpenAPI document about it in the same breath (hono-openapi reads the schema
 * off the middleware). Anything else than what the schema says is 400 `malformed`, with the path to the fault.
 */
import type { MiddlewareHandler } from "hono";
import { resolver, uniqueSymbol, validator } from "hono-openapi";
import type { z } from "zod";
import { deeperThan } from "#protocol/frame.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { AppEnv } from "./context.ts";
import { refuse } from "./errors.ts";

type Issue = { message: string; path?: readonly (PropertyKey | { key: PropertyKey })[] };

/**
 * The body as JSON. An empty body is `{}`, so that routes whose fields are all optional can be called without one.
 * Hono's own validator reads a body without a JSON content type as `{}` and loses it without a word; this one refuses.
 */
export function jsonBody<S extends z.ZodType>(
  schema: S,
  maxBytes: number = LIMITS.httpBodyBytes,
): MiddlewareHandler<AppEnv, string, { in: { json: z.input<S> }; out: { json: z.output<S> } }> {
  const middleware: MiddlewareHandler<
    AppEnv,
    string,
    { in: { json: z.input<S> }; out: { json: z.output<S> } }
  > = async (c, next) => {
    const result = await schema.safeParseAsync(await readJson(c.req.raw, maxBytes));
    if (!result.success) return refuseMalformed(result.error.issues);
    c.req.addValidatedData("json", result.data as object);
    await next();
  };
  return Object.assign(middleware, { [uniqueSymbol]: { target: "json", ...resolver(schema, { io: "input" }) } });
}

/** The query string. */
export function query<S extends z.ZodType>(schema: S) {
  return validator("query", schema, (result) => {
    if (!result.success) refuseMalformed(result.error);
  });
}

/** The path's parameters. What cannot be an id of ours names nothing: 404, and no object is ever made for it. */
export function params<S extends z.ZodType>(schema: S) {
  return validator("param", schema, (result) => {
    if (!result.success) refuse("not_found", "there is nothing with this id");
  });
}

/**
 * The body as text, read only as far as it may be long: a length that was not announced is found out on the way.
 * @throws Refused `body_too_large`, `malformed` when it is not UTF-8
 */
async function readText(request: Request, maxBytes: number): Promise<string> {
  if (!request.body) return "";
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  try {
    for await (const chunk of request.body) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes + LIMITS.refusedBodyBytes) break;
      if (bytes <= maxBytes) text += decoder.decode(chunk, { stream: true });
    }
    if (bytes > maxBytes) refuse("body_too_large", `a body may have at most ${maxBytes} bytes`);
    return text + decoder.decode();
  } catch (error) {
    if (error instanceof TypeError) return refuse("malformed", "the body is not UTF-8");
    throw error;
  }
}

/** Takes in what a refused request still sends, up to a bound, so that its sender gets to read the refusal. */
export async function takeIn(body: ReadableStream<Uint8Array> | null): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of body ?? []) {
      bytes += chunk.byteLength;
      if (bytes > LIMITS.refusedBodyBytes) return;
    }
  } catch {
    // The sender has left: there is nobody to read the refusal.
  }
}

async function readJson(request: Request, maxBytes: number): Promise<unknown> {
  const text = await readText(request, maxBytes);
  if (text === "") return {};
  if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(request.headers.get("content-type") ?? "")) {
    refuse("unsupported_media_type", "send the body as application/json");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return refuse("malformed", "the body is not JSON");
  }
  if (deeperThan(value, LIMITS.jsonDepth)) refuse("malformed", "the body is nested too deeply");
  return value;
}

function refuseMalformed(issues: readonly Issue[]): never {
  const details = issues.slice(0, 10).map((issue) => ({ path: pathOf(issue), message: issue.message }));
  const first = details[0];
  return refuse("malformed", first ? `${first.path || "body"}: ${first.message}` : "not understood", details);
}

function pathOf(issue: Issue): string {
  return (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
}
