/** Chat for clients of the AI SDK (`DefaultChatTransport`, `useChat`): a run as a UI message stream. */
import { Hono } from "hono";
import { z } from "zod";
import { CHAT_ID_CHARS, chatBody } from "#protocol/http.ts";
import { LIMITS } from "#protocol/limits.ts";
import { activeRun, queuedRuns } from "#protocol/session-view.ts";
import { allow } from "../auth/allow.ts";
import { recordSocket } from "../auth/opened-sockets.ts";
import { chatSession, startChat } from "../chat/chat-request.ts";
import { CHAT_HEADERS, chatStream } from "../chat/chat-stream.ts";
import type { AppEnv } from "../context.ts";
import { describe } from "../describe.ts";
import { unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";
import { watchEvents } from "./caller-watch.ts";
import { runHeaders } from "./run-start.ts";
import { stopLeftRun } from "./runs.ts";

const uiMessageStream = { schema: z.string(), media: "text/event-stream" };
const chatPath = z.object({ sessionId: z.string().min(1).max(CHAT_ID_CHARS) });

export const chatRoutes = new Hono<AppEnv>()
  .post(
    "/",
    describe({
      summary: "Ask in a chat and follow the answer; the body is that of the AI SDK's DefaultChatTransport",
      tag: "chat",
      answers: {
        200: {
          description:
            "AI SDK UI message stream v1 of the run that the last user message asks for; the same message again gets the same run. Headers x-run-id and x-session-id",
          ...uiMessageStream,
        },
      },
      refusals: [404, 409, 410, 413, 415, 422, 429],
    }),
    allow("sessions.write"),
    jsonBody(chatBody, LIMITS.chatBodyBytes),
    async (c) => {
      const body = c.req.valid("json");
      const run = await startChat(c, body);
      const stream = chatStream({ ...run, reader: () => recordSocket(c, run.sessionId) });
      const watched =
        body.onDisconnect === "cancel"
          ? watchEvents(stream, {
              signal: c.req.raw.signal,
              left: () => c.executionCtx.waitUntil(stopLeftRun(c, run)),
            })
          : stream;
      return new Response(watched, { headers: { ...CHAT_HEADERS, ...runHeaders(run) } });
    },
  )
  .get(
    "/:sessionId/stream",
    describe({
      summary: "Take up a chat's running answer again: all of it, then live",
      tag: "chat",
      answers: {
        200: { description: "AI SDK UI message stream v1 from the answer's beginning", ...uiMessageStream },
        204: { description: "nothing runs in this chat" },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    params(chatPath),
    async (c) => {
      const { sessionId, named } = await chatSession(c, c.req.valid("param").sessionId);
      const session = sessionObject(c.env, c.var.principal.organizationId, sessionId);
      const looked = await session.view();
      // A page asks before the chat's first message has made its session.
      if (!looked.ok && looked.reason === "not_found" && named) return c.body(null, 204);
      const { view } = unwrap(looked);
      const run = activeRun(view) ?? queuedRuns(view)[0];
      if (!run) return c.body(null, 204);
      const reader = () => recordSocket(c, sessionId);
      const started = { session, sessionId, runId: run.id, cursor: run.promptSeq ?? 0, reader };
      return new Response(chatStream(started), { headers: { ...CHAT_HEADERS, ...runHeaders(started) } });
    },
  );
