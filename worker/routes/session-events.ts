/** The way from a request to the session's own sockets and streams, with the headers that only we may set. */
import { z } from "zod";
import type { Actor } from "#protocol/events.ts";
import { reject } from "#protocol/objects.ts";
import type { AppContext } from "../context.ts";
import { Refused, refuse } from "../errors.ts";
import type { SessionStub } from "../objects.ts";
import { SSE_HEADERS } from "../sse.ts";

const OBJECT_ORIGIN = "https://object";

/** A place in the event log: "I have everything up to here". `Last-Event-ID` is how a browser says it on its own. */
export const cursorQuery = z.object({
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "a cursor is a number of digits only")
    .transform(Number)
    .optional(),
});

export function cursorOf(c: AppContext, cursor: number | undefined): number {
  const last = c.req.header("last-event-id");
  return last !== undefined && /^\d{1,15}$/.test(last) ? Number(last) : (cursor ?? 0);
}

/** Puts on record that a stream is opened, and answers the credential that it ends with (recordSocket). */
export type Reader = () => Promise<string>;

/**
 * Opens the session's event stream. Of a run that is over, undefined when the cursor has everything.
 * @throws Refused with what the object answered instead of a stream
 */
export async function openEvents(
  session: SessionStub,
  { cursor, runId, reader }: { cursor: number; runId?: string; reader?: Reader },
): Promise<ReadableStream<Uint8Array> | undefined> {
  const url = new URL("/events", OBJECT_ORIGIN);
  url.searchParams.set("cursor", String(cursor));
  if (runId) url.searchParams.set("runId", runId);
  const headers = new Headers();
  if (reader) headers.set("x-gantry-credential", await reader());
  const response = await session.fetch(new Request(url, { headers }));
  if (response.status === 204) return undefined;
  if (response.ok && response.body) return response.body;
  return refuseAs(response);
}

/** The events as an answer to the caller; 204 when there are no more. */
export function eventStream(
  body: ReadableStream<Uint8Array> | undefined,
  headers: Record<string, string> = {},
): Response {
  if (!body) return new Response(null, { status: 204, headers });
  return new Response(body, { headers: { ...SSE_HEADERS, ...headers } });
}

type Forwarded = {
  search: Record<string, string | undefined>;
  actor?: Actor;
  /** Whether they may answer what a run asks. */
  mayReply?: boolean;
  credential?: string;
};

/**
 * Hands an upgrade to an object. The caller's credentials stay here, and so do headers that pretend to be ours.
 * @throws Refused `upgrade_required`
 */
export async function forwardUpgrade(
  c: AppContext,
  object: { fetch(request: Request): Promise<Response> },
  path: string,
  { search, actor, mayReply, credential }: Forwarded,
): Promise<Response> {
  if (c.req.header("upgrade")?.toLowerCase() !== "websocket") {
    refuse("upgrade_required", "this address speaks WebSocket only");
  }
  const url = new URL(path, OBJECT_ORIGIN);
  for (const [name, value] of Object.entries(search)) if (value !== undefined) url.searchParams.set(name, value);
  const response = await object.fetch(new Request(url, { headers: objectHeaders(c, { actor, mayReply, credential }) }));
  // What an object answers is immutable, and ours get headers on their way out.
  return new Response(response.body, response);
}

function objectHeaders(c: AppContext, { actor, mayReply, credential }: Omit<Forwarded, "search">): Headers {
  const headers = new Headers();
  for (const [name, value] of c.req.raw.headers) {
    if (!name.startsWith("x-gantry-") && name !== "cookie" && name !== "authorization") headers.append(name, value);
  }
  headers.set("x-gantry-trace-id", c.var.traceId);
  if (actor) headers.set("x-gantry-actor", asciiJson(actor));
  if (mayReply) headers.set("x-gantry-may-reply", "1");
  if (credential) headers.set("x-gantry-credential", credential);
  return headers;
}

/** JSON in ASCII: a header takes no other characters, and people's names have them. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

const refusalBody = z.object({ reason: z.string(), message: z.string(), details: z.unknown().optional() });

async function refuseAs(response: Response): Promise<never> {
  const text = await response.text();
  const body = refusalBody.safeParse(text.startsWith("{") ? JSON.parse(text) : undefined);
  if (body.success) throw new Refused(reject(body.data.reason, body.data.message, body.data.details));
  if (response.status === 404) return refuse("not_found", "there is no such session");
  throw new Error(`the session object answered ${response.status}`);
}
