/** The queue: put a run in and leave, see where it stands, push the placement. */
import { Hono } from "hono";
import { z } from "zod";
import { queuedRun, runQueue, startRunBody } from "#protocol/http.ts";
import { runIdSchema, sessionIdSchema } from "#protocol/ids.ts";
import { queuedRuns, runById } from "#protocol/session-view.ts";
import { allow } from "../auth/allow.ts";
import type { AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { poolsOf } from "../db/runs.ts";
import { describe } from "../describe.ts";
import { unwrap } from "../errors.ts";
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
      summary: "Everything that waits for a host, and the leases there are",
      tag: "runs",
      answers: { 200: { description: "over all pools of the organisation", schema: runQueue } },
    }),
    allow("hosts.read"),
    async (c) => {
      const { organizationId } = c.var.principal;
      const pools = new Set([DEFAULT_POOL, ...(await poolsOf(c.env, organizationId))]);
      const queues = await Promise.all([...pools].map((pool) => fleetObject(c.env, organizationId, pool).queue()));
      return c.json({
        entries: queues.flatMap(({ entries }) => entries),
        leases: queues.flatMap(({ leases }) => leases),
      });
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
      return c.json({ runId, state, attempts, position, ...(waitingFor ? { waitingFor } : {}) });
    },
  );
