/** What every handler finds in its context. */
import type { Context } from "hono";
import { createMiddleware } from "hono/factory";
import type { Actor } from "#protocol/events.ts";
import { newId } from "#protocol/ids.ts";
import type { CommandContext } from "#protocol/objects.ts";
import { actorOf, type Principal } from "./auth/principal.ts";
import { sha256Hex } from "./auth/secrets.ts";
import type { Env } from "./env.ts";
import { refuse } from "./errors.ts";
import { createLogger, type Logger } from "./log.ts";

export type AppEnv = {
  Bindings: Env;
  Variables: { traceId: string; log: Logger; principal: Principal };
};
export type AppContext = Context<AppEnv>;

const TRACEPARENT = /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/;
const IDEMPOTENCY_KEY = /^[\x21-\x7e]{1,255}$/;
/** Leaves room for the suffix of a second command made from the same key. */
const PLAIN_KEY_CHARS = 80;

/** The caller's trace when it sends a valid `traceparent`, else a new one: 32 hex digits. */
export function traceIdFrom(traceparent: string | undefined): string {
  const match = TRACEPARENT.exec(traceparent ?? "");
  return match?.[1] && !/^0+$/.test(match[1]) ? match[1] : crypto.randomUUID().replaceAll("-", "");
}

/** Names the request, answers its trace id, and logs one line when it is done. Never logs a query: it may hold secrets. */
export const requestContext = createMiddleware<AppEnv>(async (c, next) => {
  const traceId = traceIdFrom(c.req.header("traceparent"));
  c.set("traceId", traceId);
  c.set("log", createLogger({ component: "worker", traceId, method: c.req.method, path: c.req.path }));
  const startedAt = Date.now();
  await next();
  // An upgrade's answer belongs to the object, and its headers are immutable.
  if (c.res.status !== 101) c.header("x-trace-id", traceId);
  c.var.log.info("request", { status: c.res.status, durationMs: Date.now() - startedAt });
});

/** The key by which a caller makes a request repeatable, as a command id; undefined when it sent none. */
export async function idempotencyKey(c: AppContext): Promise<string | undefined> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return undefined;
  if (!IDEMPOTENCY_KEY.test(key)) refuse("malformed", "Idempotency-Key: 1 to 255 printable ASCII characters");
  return key.length <= PLAIN_KEY_CHARS ? key : `sha256-${await sha256Hex(key)}`;
}

/** Who asks, under which command id, in which trace. */
export async function commandContext(c: AppContext): Promise<CommandContext> {
  return { commandId: (await idempotencyKey(c)) ?? newId("cmd"), actor: actor(c), traceId: c.var.traceId };
}

export function actor(c: AppContext): Actor {
  return actorOf(c.var.principal);
}
