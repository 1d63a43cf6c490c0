/** Sweeps on demand: what was looked at, what was found, what was mended. A big organisation takes several requests. */
import { Hono } from "hono";
import { z } from "zod";
import { sessionIdSchema } from "#protocol/ids.ts";
import {
  type HostSweep,
  hostSweep,
  type Reconciler,
  type ReconcilerReport,
  reconcilerReport,
} from "#protocol/reconcile.ts";
import { allow } from "../auth/allow.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { describe } from "../describe.ts";
import { fleetObject } from "../objects.ts";
import { logReports } from "../reconcile/scheduled.ts";
import { MAX_BATCH } from "../reconcile/sessions.ts";
import { SHELVES, sweepShelvesOf } from "../reconcile/store.ts";
import { allPools, stepCursor, sweepStep, writeCursor } from "../reconcile/sweep.ts";
import { jsonBody } from "../validate.ts";

const sweepBody = z.object({
  /** The `nextCursor` of the request before. */
  cursor: stepCursor.optional(),
  /** Sessions looked at in this request. */
  limit: z.number().int().min(1).max(MAX_BATCH).default(MAX_BATCH),
});
const storeBody = z.object({
  cursor: sessionIdSchema.optional(),
  /** Sessions whose shelves are swept in this request. */
  limit: z.number().int().min(1).max(SHELVES).default(SHELVES),
});
type SweepInput = z.output<typeof sweepBody>;

const sweepAnswer = z.object({
  /** True when no reconciler failed. */
  ok: z.boolean(),
  reports: z.array(reconcilerReport),
  nextCursor: z.string().optional(),
});

/** How long a request waits for the hosts: their sweeps take as long as their container engine does. */
const HOST_LOOKS = 15;
const HOST_LOOK_MS = 200;

const RUNS = ["runs", "leases", "queue", "index", "deadlines"] as const satisfies readonly Reconciler[];
const SYNC = ["syncs"] as const satisfies readonly Reconciler[];

export const reconcileRoutes = new Hono<AppEnv>()
  .post(
    "/runs",
    describe({
      summary: "Find and mend stale runs, leases, queue entries, index rows and deadlines",
      tag: "system",
      answers: { 200: { description: "go on with `nextCursor` until there is none", schema: sweepAnswer } },
    }),
    allow("runs.operate"),
    jsonBody(sweepBody),
    async (c) => c.json(await sweep(c, "runs", RUNS, c.req.valid("json"))),
  )
  .post(
    "/sync",
    describe({
      summary: "Find work that nobody saves, and what hosts keep of workers that are gone",
      tag: "system",
      answers: {
        200: {
          description: "go on with `nextCursor` until there is none; `hosts`: their own last reports",
          schema: sweepAnswer.extend({ hosts: z.array(hostSweep) }),
        },
      },
    }),
    allow("runs.operate"),
    jsonBody(sweepBody),
    async (c) => {
      const input = c.req.valid("json");
      // Hosts are asked once, with the first batch.
      const hosts = input.cursor ? [] : await sweepHosts(c);
      return c.json({ ...(await sweep(c, "sync", SYNC, input)), hosts });
    },
  )
  .post(
    "/store",
    describe({
      summary: "Give up old snapshots and remove what nothing in the store needs, a day after it was found so",
      tag: "system",
      answers: { 200: { description: "go on with `nextCursor` until there is none", schema: sweepAnswer } },
    }),
    allow("runs.operate"),
    jsonBody(storeBody),
    async (c) => {
      const { cursor: after = "", limit } = c.req.valid("json");
      const { organizationId } = c.var.principal;
      const { report, next } = await sweepShelvesOf(c.env, organizationId, { after, limit, nowMs: Date.now() });
      return c.json(await told(c, "store", [report], next));
    },
  );

/** The hosts' own reports. A host that is connected is asked now, and waited for a moment; `at` says how old a report is. */
async function sweepHosts(c: AppContext): Promise<HostSweep[]> {
  const { organizationId } = c.var.principal;
  const pools = await allPools(c.env, organizationId);
  const since = Date.now();
  const fleets = pools.map((pool) => fleetObject(c.env, organizationId, pool));
  const asked = new Set(
    (await Promise.all(fleets.map((fleet) => fleet.sweepHosts(true)))).flatMap((each) => each.asked),
  );
  for (let looks = 0; ; looks++) {
    const reports = (await Promise.all(fleets.map((fleet) => fleet.sweepHosts(false)))).flatMap((each) => each.reports);
    const fresh = reports.filter((report) => asked.has(report.hostId) && report.at >= since);
    if (fresh.length >= asked.size || looks >= HOST_LOOKS) return reports;
    await new Promise((resolve) => setTimeout(resolve, HOST_LOOK_MS));
  }
}

async function sweep(c: AppContext, name: string, which: readonly Reconciler[], { cursor, limit }: SweepInput) {
  const { organizationId } = c.var.principal;
  const { reports, next } = await sweepStep(c.env, organizationId, { step: cursor, limit, which });
  return told(c, name, reports, next && writeCursor(next));
}

async function told(c: AppContext, name: string, reports: ReconcilerReport[], nextCursor: string | undefined) {
  logReports(c.var.log, reports);
  const found = reports.reduce((sum, report) => sum + report.findings.length, 0);
  await recordAudit(c, { action: `reconcile.${name}`, target: `${found} found`, allowed: true });
  const ok = reports.every(({ failures }) => failures.length === 0);
  return { ok, reports, ...(nextCursor ? { nextCursor } : {}) };
}
