/** Sessions: make, list, read, rename, remove, and follow live. */
import { Hono } from "hono";
import { z } from "zod";
import type { Actor } from "#protocol/events.ts";
import { createSessionBody, type HostRecord, sessionSummary, updateSessionBody } from "#protocol/http.ts";
import { sessionIdSchema } from "#protocol/ids.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { summarize } from "#protocol/summary.ts";
import { HOST_STATUSES } from "#protocol/vocabulary.ts";
import { whereabouts } from "#protocol/whereabouts.ts";
import { allow } from "../auth/allow.ts";
import { recordSocket } from "../auth/opened-sockets.ts";
import { may } from "../auth/principal.ts";
import { type AppContext, type AppEnv, actor, commandContext } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { listSessions } from "../db/sessions.ts";
import { describe } from "../describe.ts";
import { refuse, unwrap } from "../errors.ts";
import { type SessionStub, sessionObject } from "../objects.ts";
import { jsonBody, params, query } from "../validate.ts";
import { createSession } from "./create-session.ts";
import { listHosts } from "./hosts.ts";
import { cursorOf, cursorQuery, eventStream, forwardUpgrade, openEvents } from "./session-events.ts";

const sessionPath = z.object({ id: sessionIdSchema });
const sessionAnswer = z.object({ session: sessionSummary });
const whereaboutsAnswer = z
  .object({
    files: z.enum(["none", "worker", "warm", "store"]),
    hostId: z.string().optional(),
    host: z.enum([...HOST_STATUSES, "removed"]).optional(),
    snapshotId: z.string().optional(),
    removedFrom: z.string().optional(),
    next: z.enum(["start", "restore"]).optional(),
  })
  .meta({ id: "Whereabouts" });
const listQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
  /** Words of the title. */
  search: z.string().trim().max(200).optional(),
});

export const sessionRoutes = new Hono<AppEnv>()
  .post(
    "/",
    describe({
      summary: "Create a session",
      tag: "sessions",
      answers: { 201: { description: "the session", schema: sessionAnswer } },
      refusals: [409, 422],
    }),
    allow("sessions.write"),
    jsonBody(createSessionBody),
    async (c) => {
      const { view } = await createSession(c, c.req.valid("json"));
      return c.json({ session: summarize(view) }, 201);
    },
  )
  .get(
    "/",
    describe({
      summary: "List sessions, the most recently changed first",
      tag: "sessions",
      answers: {
        200: {
          description: "one page; `nextCursor` when there are more",
          schema: z.object({ sessions: z.array(sessionSummary), nextCursor: z.string().optional() }),
        },
      },
    }),
    allow("sessions.read"),
    query(listQuery),
    async (c) => c.json(await listSessions(c.env, c.var.principal.organizationId, c.req.valid("query"))),
  )
  .get(
    "/:id",
    describe({
      summary: "Read a session with its whole state",
      tag: "sessions",
      answers: {
        200: {
          description:
            "`view` is the state at `cursor`; go on from there with the stream or the socket. `workspace` says where the files are and what the next prompt does with them",
          schema: z.object({
            session: sessionSummary,
            view: z.looseObject({ id: z.string() }),
            workspace: whereaboutsAnswer,
            cursor: z.number(),
          }),
        },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    params(sessionPath),
    async (c) => {
      const { view, cursor } = await readView(ownSession(c, c.req.valid("param").id));
      const workspace = whereabouts(view, view.worker.state === "stopped" ? await knownHosts(c) : undefined);
      return c.json({ session: summarize(view), view, workspace, cursor });
    },
  )
  .patch(
    "/:id",
    describe({
      summary: "Rename a session",
      tag: "sessions",
      answers: { 200: { description: "the session", schema: sessionAnswer } },
      refusals: [404, 409, 410],
    }),
    allow("sessions.write"),
    params(sessionPath),
    jsonBody(updateSessionBody),
    async (c) => {
      const session = ownSession(c, c.req.valid("param").id);
      unwrap(await session.rename(c.req.valid("json").title, await commandContext(c)));
      return c.json({ session: summarize((await readView(session)).view) });
    },
  )
  .delete(
    "/:id",
    describe({
      summary: "Delete a session; its runs are cancelled",
      tag: "sessions",
      answers: { 200: { description: "deleted", schema: z.object({ ok: z.literal(true) }) } },
      refusals: [404, 409, 410],
    }),
    allow("sessions.write"),
    params(sessionPath),
    async (c) => {
      unwrap(await ownSession(c, c.req.valid("param").id).remove(await commandContext(c)));
      await recordAudit(c, { action: "sessions.delete", target: c.req.valid("param").id, allowed: true });
      return c.json({ ok: true as const });
    },
  )
  .get(
    "/:id/transcript",
    describe({
      summary: "What was said in a session",
      tag: "sessions",
      answers: {
        200: {
          description: "messages made of AI SDK parts, up to `cursor`",
          schema: z.object({ cursor: z.number(), messages: z.array(z.looseObject({ id: z.string() })) }),
        },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    params(sessionPath),
    async (c) => {
      const { transcript } = unwrap(await ownSession(c, c.req.valid("param").id).transcript());
      return c.json({ cursor: transcript.cursor, messages: transcript.messages as unknown[] });
    },
  )
  .get(
    "/:id/stream",
    describe({
      summary: "Follow a session's events (SSE)",
      tag: "sessions",
      answers: {
        200: {
          description: "events after `cursor` (or Last-Event-ID), then live",
          schema: z.string(),
          media: "text/event-stream",
        },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    params(sessionPath),
    query(cursorQuery),
    async (c) => {
      const { id } = c.req.valid("param");
      const cursor = cursorOf(c, c.req.valid("query").cursor);
      const reader = () => recordSocket(c, id);
      return eventStream(await openEvents(ownSession(c, id), { cursor, reader }), { "x-session-id": id });
    },
  )
  .get(
    "/:id/socket",
    describe({
      summary: "A person's live connection to a session (WebSocket)",
      tag: "sessions",
      answers: { 101: { description: "commands up; snapshot, events and answers down" } },
      refusals: [404, 410, 426],
    }),
    allow("sessions.write"),
    params(sessionPath),
    query(cursorQuery),
    async (c) => {
      const cursor = c.req.valid("query").cursor;
      const { id } = c.req.valid("param");
      // An upgrade that is none leaves no record behind.
      const upgrade = c.req.header("upgrade")?.toLowerCase() === "websocket";
      const credential = upgrade ? await recordSocket(c, id) : "";
      return forwardUpgrade(c, ownSession(c, id), "/viewer", {
        credential,
        search: { cursor: cursor === undefined ? undefined : String(cursor) },
        actor: actor(c) satisfies Actor,
        mayReply: may(c.var.principal, "human_loop.reply"),
      });
    },
  );

/** A pool that does not answer leaves its hosts unknown, and the session readable. */
async function knownHosts(c: AppContext): Promise<HostRecord[] | undefined> {
  try {
    return await listHosts(c);
  } catch (error) {
    c.var.log.warn("hosts_not_listed", { error: String(error) });
    return undefined;
  }
}

function ownSession(c: AppContext, sessionId: string): SessionStub {
  c.set("log", c.var.log.with({ sessionId }));
  return sessionObject(c.env, c.var.principal.organizationId, sessionId);
}

/** @throws Refused `not_found`, or `gone` for a deleted session */
async function readView(session: SessionStub): Promise<{ view: SessionView; cursor: number }> {
  const { view, cursor } = unwrap(await session.view());
  if (view.deleted) refuse("gone", "this session was deleted");
  return { view, cursor };
}
