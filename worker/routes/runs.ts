/** Runs: start one and stay with it, look at it, follow it, stop it. */
import { Hono } from "hono";
import { z } from "zod";
import type { SessionEvent } from "#protocol/events.ts";
import { type RunRecord, runRecord, runResult, startRunBody, stopRunBody, todosBody } from "#protocol/http.ts";
import { runIdSchema, sessionOf } from "#protocol/ids.ts";
import { runById } from "#protocol/session-view.ts";
import { runRecordOf } from "#protocol/summary.ts";
import { allow } from "../auth/allow.ts";
import { recordSocket } from "../auth/opened-sockets.ts";
import { type AppContext, type AppEnv, commandContext } from "../context.ts";
import { findRun } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse, rejectionOf, unwrap } from "../errors.ts";
import { type SessionStub, sessionObject } from "../objects.ts";
import { jsonBody, params, query } from "../validate.ts";
import { type CallerWatch, watchAnswer, watchEvents } from "./caller-watch.ts";
import { awaitRun, runHeaders, type StartedRun, startRun } from "./run-start.ts";
import { cursorOf, cursorQuery, eventStream, openEvents } from "./session-events.ts";

const runPath = z.object({ runId: runIdSchema });
const STOPPED_BY_LEAVING = "the caller left (onDisconnect: cancel)";

export const runRoutes = new Hono<AppEnv>()
  .post(
    "/start",
    describe({
      summary: "Start a run and wait for its end, or follow it live with Accept: text/event-stream",
      tag: "runs",
      answers: {
        200: { description: "the finished run; headers x-run-id and x-session-id", schema: runResult },
      },
      refusals: [404, 409, 410, 413, 422, 429],
    }),
    allow("sessions.write"),
    jsonBody(startRunBody),
    async (c) => {
      const body = c.req.valid("json");
      const run = await startRun(c, body);
      const headers = runHeaders(run);
      const watch: CallerWatch | undefined =
        body.onDisconnect === "cancel"
          ? { signal: c.req.raw.signal, left: () => c.executionCtx.waitUntil(stopLeftRun(c, run)) }
          : undefined;
      if (wantsStream(c)) {
        const events = await openEvents(run.session, { ...run, reader: () => recordSocket(c, run.sessionId) });
        return eventStream(watch && events ? watchEvents(events, watch) : events, headers);
      }
      if (!watch) return c.json(await awaitRun(run), 200, headers);
      const answer = awaitRun(run).catch((error: unknown) => rejectionOf(c, error));
      return c.body(watchAnswer(answer, watch), 200, {
        ...headers,
        "content-type": "application/json",
        // A compressor would keep the heartbeats to itself.
        "cache-control": "no-store, no-transform",
      });
    },
  )
  .get(
    "/:runId",
    describe({
      summary: "Read a run",
      tag: "runs",
      answers: { 200: { description: "the run", schema: z.object({ run: runRecord }) } },
      refusals: [404],
    }),
    allow("sessions.read"),
    params(runPath),
    async (c) => {
      const { runId } = c.req.valid("param");
      return c.json({ run: await readRun(c, sessionOfRun(c, runId), runId) });
    },
  )
  .get(
    "/:runId/stream",
    describe({
      summary: "Follow a run's events (SSE); ends after run.finished",
      tag: "runs",
      answers: {
        200: {
          description: "events after `cursor` (or Last-Event-ID), then live",
          schema: z.string(),
          media: "text/event-stream",
        },
        204: { description: "the run is over and the cursor has all of it: do not come back" },
      },
      refusals: [404, 410],
    }),
    allow("sessions.read"),
    params(runPath),
    query(cursorQuery),
    async (c) => {
      const { runId } = c.req.valid("param");
      const { session, sessionId } = sessionOfRun(c, runId);
      await readRun(c, { session, sessionId }, runId);
      const cursor = cursorOf(c, c.req.valid("query").cursor);
      const reader = () => recordSocket(c, sessionId);
      return eventStream(await openEvents(session, { cursor, runId, reader }), runHeaders({ runId, sessionId }));
    },
  )
  .post(
    "/:runId/stop",
    describe({
      summary: "Stop a run; queued follow-ups stay",
      tag: "runs",
      answers: {
        202: {
          description: "`cancelling` until the provider is gone, `finished` when nothing was running",
          schema: z.object({ state: z.enum(["cancelling", "finished"]) }),
        },
      },
      refusals: [404, 409, 410],
    }),
    allow("sessions.write"),
    params(runPath),
    jsonBody(stopRunBody),
    async (c) => {
      const { runId } = c.req.valid("param");
      const { session } = sessionOfRun(c, runId);
      const { reason } = c.req.valid("json");
      const { state } = unwrap(await session.stop({ runId, ...(reason ? { reason } : {}) }, await commandContext(c)));
      return c.json({ state }, 202);
    },
  )
  .get(
    "/:runId/todos",
    describe({
      summary: "The todo list of a run as it is now",
      tag: "runs",
      answers: { 200: { description: "the newest list", schema: todosBody } },
      refusals: [404],
    }),
    allow("sessions.read"),
    params(runPath),
    async (c) => c.json({ items: (await todoUpdates(c, c.req.valid("param").runId)).at(-1)?.items ?? [] }),
  )
  .get(
    "/:runId/todos/events",
    describe({
      summary: "How the todo list of a run came about",
      tag: "runs",
      answers: {
        200: {
          description: "every list in order",
          schema: z.object({
            events: z.array(z.object({ seq: z.number(), at: z.number(), items: todosBody.shape.items })),
          }),
        },
      },
      refusals: [404],
    }),
    allow("sessions.read"),
    params(runPath),
    async (c) => c.json({ events: await todoUpdates(c, c.req.valid("param").runId) }),
  );

/** The session that a run's id names, always of the principal's own organisation. */
export function sessionOfRun(c: AppContext, runId: string): { session: SessionStub; sessionId: string } {
  const sessionId = sessionOf(runId) ?? refuseRun();
  c.set("log", c.var.log.with({ sessionId, runId }));
  return { session: sessionObject(c.env, c.var.principal.organizationId, sessionId), sessionId };
}

/** The session's view keeps the newest runs only; the index keeps all. */
async function readRun(
  c: AppContext,
  { session, sessionId }: { session: SessionStub; sessionId: string },
  runId: string,
): Promise<RunRecord> {
  const { view } = unwrap(await session.view());
  const run = runById(view, runId);
  if (run) return runRecordOf(sessionId, run);
  return (await findRun(c.env, c.var.principal.organizationId, runId)) ?? refuseRun();
}

export function refuseRun(): never {
  return refuse("not_found", "there is no such run");
}

async function todoUpdates(c: AppContext, runId: string) {
  const { session } = sessionOfRun(c, runId);
  const { events } = unwrap(await session.runEvents(runId, ["todo.update"]));
  return events.flatMap((event: SessionEvent) =>
    event.type === "todo.update" ? [{ seq: event.seq, at: event.at, items: event.data.items }] : [],
  );
}

function wantsStream(c: AppContext): boolean {
  return /\btext\/event-stream\b/i.test(c.req.header("accept") ?? "");
}

/** The caller of a run with `onDisconnect: "cancel"` has left. */
export async function stopLeftRun(c: AppContext, { session, runId }: StartedRun): Promise<void> {
  const command = { ...(await commandContext(c)), commandId: `left:${runId}` };
  const result = await session.stop({ runId, reason: STOPPED_BY_LEAVING }, command);
  c.var.log.info("caller_left", { stopped: result.ok });
}
