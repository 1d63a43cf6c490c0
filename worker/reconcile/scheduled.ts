/**
 * The sweeps of one tick: a few organisations, the longest unswept first, and of each one batch per pool, of the
 * sessions with unfinished runs, and of all sessions; then the shelves of the store that are due. Where each stopped is kept in D1. What each reconciler did is
 * logged as `reconcile_completed`, also when it found nothing: whoever misses the line knows that no sweep has run.
 */
import { and, asc, eq, sql } from "drizzle-orm";
import { mergeReports, RECONCILERS, type ReconcilerReport } from "#protocol/reconcile.ts";
import { organizations, sweeps } from "../../migrations/schema.ts";
import { database } from "../db/database.ts";
import type { Env } from "../env.ts";
import type { Logger } from "../log.ts";
import { MAX_BATCH, nextSessions, reconcileSessions } from "./sessions.ts";
import { sweepDueShelves } from "./store.ts";
import { allPools, sweepPool } from "./sweep.ts";

/** Bounds of one tick. A call to an object counts as one of the 1,000 that an invocation may make. */
const ORGANIZATIONS = 4;
const POOL_BATCH = 100;

type Batch = (after: string) => Promise<{ reports: ReconcilerReport[]; next?: string }>;

export async function sweepTick(env: Env, nowMs: number, log: Logger): Promise<void> {
  const reports: ReconcilerReport[] = [];
  for (const organizationId of await longestUnswept(env)) {
    const batches: Record<string, Batch> = {
      unfinished: (after) => sessionBatch(env, organizationId, after, true),
      sessions: (after) => sessionBatch(env, organizationId, after, false),
    };
    for (const pool of await allPools(env, organizationId)) {
      batches[`pool:${pool}`] = (after) =>
        sweepPool(env, organizationId, { pool, after, limit: POOL_BATCH, which: RECONCILERS });
    }
    for (const [name, batch] of Object.entries(batches)) {
      try {
        reports.push(...(await advance(env, organizationId, name, batch)));
      } catch (error) {
        log.error("reconcile_failed", { organizationId, sweep: name, error });
      }
    }
  }
  try {
    reports.push(await sweepDueShelves(env, nowMs));
  } catch (error) {
    log.error("reconcile_failed", { sweep: "store", error });
  }
  logReports(log, mergeReports(reports));
}

/** A line per reconciler, and one per thing that was found: that is news. */
export function logReports(log: Logger, reports: readonly ReconcilerReport[]): void {
  for (const { reconciler, looked, findings, failures } of reports) {
    const mended = findings.filter((finding) => finding.mended).length;
    for (const finding of findings) log.warn("reconcile_found", finding);
    for (const failure of failures) log.error("reconcile_failed", { reconciler, failure });
    log.info("reconcile_completed", { reconciler, looked, found: findings.length, mended, failures: failures.length });
  }
  log.info("reconcile_swept", { reconcilers: reports.length });
}

async function sessionBatch(env: Env, organizationId: string, after: string, unfinished: boolean) {
  const ids = await nextSessions(env, organizationId, { after, limit: MAX_BATCH, unfinished });
  // Only who has a lease can save, and those are asked by their pool; the store has shelves of its own to go through.
  const which = RECONCILERS.filter((reconciler) => reconciler !== "syncs" && reconciler !== "store");
  const reports = await reconcileSessions(env, organizationId, ids, which);
  const next = ids.length === MAX_BATCH ? ids.at(-1) : undefined;
  return { reports, ...(next ? { next } : {}) };
}

/** One batch from where the last tick stopped; at the end of a round the next tick begins anew. */
async function advance(env: Env, organizationId: string, name: string, batch: Batch): Promise<ReconcilerReport[]> {
  const db = database(env);
  const [row] = await db
    .select({ cursor: sweeps.cursor })
    .from(sweeps)
    .where(and(eq(sweeps.organizationId, organizationId), eq(sweeps.name, name)));
  const { reports, next = "" } = await batch(row?.cursor ?? "");
  const values = { organizationId, name, cursor: next, at: Date.now() };
  await db
    .insert(sweeps)
    .values(values)
    .onConflictDoUpdate({ target: [sweeps.organizationId, sweeps.name], set: { cursor: next, at: values.at } });
  return reports;
}

async function longestUnswept(env: Env): Promise<string[]> {
  const rows = await database(env)
    .select({ id: organizations.id })
    .from(organizations)
    .leftJoin(sweeps, and(eq(sweeps.organizationId, organizations.id), eq(sweeps.name, "sessions")))
    .orderBy(sql`coalesce(${sweeps.at}, 0)`, asc(organizations.id))
    .limit(ORGANIZATIONS);
  return rows.map(({ id }) => id);
}
