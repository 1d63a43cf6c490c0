/** What waits for a person, and the answer to it. */
import { Hono } from "hono";
import { z } from "zod";
import type { Actor } from "#protocol/events.ts";
import { pendingRequest, replyBody, type WaitingRequest } from "#protocol/http.ts";
import { sessionIdSchema, sessionOf } from "#protocol/ids.ts";
import type { PendingRequest } from "#protocol/session-view.ts";
import { allow } from "../auth/allow.ts";
import { may, type Principal } from "../auth/principal.ts";
import { type AppContext, type AppEnv, actor, commandContext } from "../context.ts";
import { pendingRequests } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import { jsonBody, query } from "../validate.ts";

export const humanLoopRoutes = new Hono<AppEnv>()
  .get(
    "/pending",
    describe({
      summary: "Permission requests and questions that wait for a person",
      tag: "human loop",
      answers: {
        200: {
          description:
            "of one session, from the session itself; of all sessions, from an index that may lag by a moment",
          schema: z.object({ requests: z.array(pendingRequest) }),
        },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    query(z.object({ sessionId: sessionIdSchema.optional() })),
    async (c) => {
      const { sessionId } = c.req.valid("query");
      const { organizationId } = c.var.principal;
      const shownTo = mayAnswer(c.var.principal) ? actor(c) : undefined;
      if (sessionId === undefined) {
        const requests = await pendingRequests(c.env, organizationId);
        if (shownTo) await startClocks(c, requests, shownTo);
        return c.json({ requests });
      }
      const { view } = unwrap(await sessionObject(c.env, organizationId, sessionId).view(shownTo));
      return c.json({ requests: view.pending.map((request) => pendingOf(sessionId, request)) });
    },
  )
  .post(
    "/reply",
    describe({
      summary: "Answer a request; the first answer counts",
      tag: "human loop",
      answers: { 200: { description: "taken", schema: z.object({ ok: z.literal(true) }) } },
      refusals: [404, 409, 410, 422],
    }),
    allow("human_loop.reply"),
    jsonBody(replyBody),
    async (c) => {
      const reply = c.req.valid("json");
      const sessionId = sessionOf(reply.requestId) ?? refuse("not_found", "there is no such request");
      c.set("log", c.var.log.with({ sessionId }));
      const session = sessionObject(c.env, c.var.principal.organizationId, sessionId);
      unwrap(await session.reply(reply, await commandContext(c)));
      return c.json({ ok: true as const });
    },
  );

/** Somebody who is shown a request and can do nothing about it is no reason to let it expire. */
function mayAnswer(principal: Principal): boolean {
  return principal.kind === "person" && may(principal, "human_loop.reply");
}

/** A person sees these now: what expires begins to. The list is not held up by a session that cannot be asked. */
async function startClocks(c: AppContext, requests: readonly WaitingRequest[], shownTo: Actor): Promise<void> {
  const unseen = requests.filter((each) => each.answerWithinMs !== undefined && each.expiresAt === undefined);
  const { organizationId } = c.var.principal;
  const sessions = [...new Set(unseen.map(({ sessionId }) => sessionId))];
  const told = sessions.map((sessionId) => sessionObject(c.env, organizationId, sessionId).view(shownTo));
  for (const result of await Promise.allSettled(told))
    if (result.status === "rejected")
      c.var.log.warn("a session was not told that it was seen", { error: String(result.reason) });
}

function pendingOf(sessionId: string, request: PendingRequest): z.infer<typeof pendingRequest> {
  const { requestId, toolCallId: _call, seq: _seq, seenBy: _person, ...rest } = request;
  return { ...rest, id: requestId, sessionId };
}
