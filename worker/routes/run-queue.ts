/** The queue: put a run in and leave, see where it stands, push the placement. */
import { Hono } from "hono";
import { z } from "zod";
import { queuedRun, type RunQueueReport, runQueue, startRunBody } from "#protocol/http.ts";
import { runIdSchema, sessionIdSchema } from "#protocol/ids.ts";
import type { FleetQueue } from "#protocol/objects.ts";
import { queuedRuns, runById } from "#protocol/session-view.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import { allow } from "../auth/allow.ts";
import { type AppEnv, commandContext } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { poolsOf } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { refuse, unwrap } from "../errors.ts";
import { DEFAULT_POOL, fleetObject } from "../objects.ts";
import { jsonBody, params } from "../validate.ts";
import { runHeaders, startRun } from "./run-start.ts";
import { refuseRun, sessionOfRun } from "./runs.ts";

export const runQueueRoutes = new Hono<AppEnv>()
  .post(
    "/enqueue",
    describe({
      summary: "Queue a run and return at once",
      tag: "runs",
      answers: {
        202: {
          description: "queued; with the same Idempotency-Key the same run again",
          schema: z.object({ runId: runIdSchema, sessionId: sessionIdSchema, state: z.literal("queued") }),
        },
      },
      refusals: [404, 409, 410, 413, 422, 429],
    }),
    allow("sessions.write"),
    jsonBody(startRunBody),
    async (c) => {
      const run = await startRun(c, c.req.valid("json"));
      const { runId, sessionId } = run;
      return c.json({ runId, sessionId, state: "queued" as const }, 202, runHeaders(run));
    },
  )
  .post(
    "/drain",
    describe({
      summary: "Try now to place everything that waits for a host",
      tag: "runs",
      answers: {
        200: {
          description: "how many were placed, how many wait on",
          schema: z.object({ claimed: z.number(), waiting: z.number() }),
        },
      },
    }),
    allow("runs.operate"),
    async (c) => {
      const { organizationId } = c.var.principal;
      const pools = new Set([DEFAULT_POOL, ...(await poolsOf(c.env, organizationId))]);
      const results = await Promise.all(
        [...pools].map((pool) => fleetObject(c.env, organizationId, pool).drainQueue()),
      );
      await recordAudit(c, { action: "runs.drain", target: [...pools].join(","), allowed: true });
      return c.json({
        claimed: results.reduce((sum, { claimed }) => sum + claimed, 0),
        waiting: results.reduce((sum, { waiting }) => sum + waiting, 0),
      });
    },
  )
  .get(
    "/",
    describe({
      summary: "Everything that waits for a host, the leases there are, and the dead letters",
      tag: "runs",
      answers: { 200: { description: "over all pools of the organisation", schema: runQueue } },
    }),
    allow("runs.operate"),
    async (c) => {
      const { organizationId } = c.var.principal;
      const pools = new Set([DEFAULT_POOL, ...(await poolsOf(c.env, organizationId))]);
      return c.json(
        reportOf(await Promise.all([...pools].map((pool) => fleetObject(c.env, organizationId, pool).queue()))),
      );
    },
  )
  .post(
    "/dead-letters/:runId/redrive",
    describe({
      summary: "Make a new run of one that failed with its host or its worker",
      tag: "runs",
      answers: {
        202: {
          description: "the new run, in the same session and with the same prompt; asked again, the same one again",
          schema: z.object({
            runId: runIdSchema,
            sessionId: sessionIdSchema,
            state: z.literal("queued"),
            redriveOf: runIdSchema,
          }),
        },
      },
      refusals: [404, 410, 429],
    }),
    allow("runs.operate"),
    params(z.object({ runId: runIdSchema })),
    async (c) => {
      const { runId: redriveOf } = c.req.valid("param");
      const { session, sessionId } = sessionOfRun(c, redriveOf);
      const fleet = fleetObject(c.env, c.var.principal.organizationId, DEFAULT_POOL);
      const { deadLetters } = await fleet.queue();
      if (!deadLetters.some(({ runId }) => runId === redriveOf))
        refuse("not_found", "there is no dead letter of this run");
      const { events } = unwrap(await session.runEvents(redriveOf, ["session.prompted"]));
      const prompted = events.find((event) => event.type === "session.prompted") ?? refuseRun();
      const { messageId: _its, author: _who, ...prompt } = prompted.data;
      // The command's id follows from the run: however often it is asked for, there is one redrive.
      const command = { ...(await commandContext(c)), commandId: `redrive:${redriveOf}` };
      const { runId } = unwrap(await session.prompt({ ...prompt, redriveOf } as PromptInput, command));
      unwrap(await fleet.redriven(redriveOf, runId));
      await recordAudit(c, { action: "runs.redrive", target: redriveOf, allowed: true });
      return c.json({ runId, sessionId, state: "queued" as const, redriveOf }, 202, runHeaders({ runId, sessionId }));
    },
  )
  .get(
    "/:runId",
    describe({
      summary: "Where a run stands in the queue",
      tag: "runs",
      answers: { 200: { description: "`position` counts from 1", schema: queuedRun } },
      refusals: [404],
    }),
    allow("sessions.read"),
    params(z.object({ runId: runIdSchema })),
    async (c) => {
      const { runId } = c.req.valid("param");
      const { view } = unwrap(await sessionOfRun(c, runId).session.view());
      const run = runById(view, runId) ?? refuseRun();
      const { state, attempt: attempts } = run;
      if (state !== "queued") return c.json({ runId, state, attempts });
      const { entries } = await fleetObject(c.env, c.var.principal.organizationId, DEFAULT_POOL).queue();
      const entry = entries.find((waiting) => waiting.runId === runId);
      // Behind another run of its own session, a run is not in the pool's queue yet.
      const position = entry?.position ?? queuedRuns(view).findIndex((waiting) => waiting.id === runId) + 1;
      const waitingFor = entry?.waitingFor ?? run.detail ?? (entry ? undefined : "the session's earlier runs");
      const { nextAt: nextAttemptAt } = run;
      return c.json({
        runId,
        state,
        attempts,
        position,
        ...(waitingFor ? { waitingFor } : {}),
        ...(nextAttemptAt ? { nextAttemptAt } : {}),
      });
    },
  );

/** The pools of an organisation as one. */
function reportOf(queues: readonly FleetQueue[]): RunQueueReport {
  const entries = queues.flatMap((queue) => queue.entries);
  const waited = queues.flatMap(({ now, entries: own }) => own.map(({ enqueuedAt }) => now - enqueuedAt));
  const reasons: RunQueueReport["reasons"] = {};
  for (const { why } of entries) if (why) reasons[why] = (reasons[why] ?? 0) + 1;
  return {
    entries,
    depth: entries.length,
    oldestWaitMs: Math.max(0, ...waited),
    reasons,
    leases: queues.flatMap(({ now, leases }) => leases.map((lease) => ({ ...lease, ageMs: now - lease.since }))),
    deadLetters: queues.flatMap(({ deadLetters }) => deadLetters).sort((a, b) => b.failedAt - a.failedAt),
  };
}
