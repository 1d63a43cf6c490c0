/**
 * Sweeps over an organisation, in steps that are small enough for one request:
 *
 *   pool:default ─► pool:… ─► sessions ─► the end           a cursor says which step comes next, and where it goes on
 *
 * Every part stands alone: one that throws is in the report, and the others have run.
 */
import { z } from "zod";
import { emptyReport, mergeReports, type Reconciler, type ReconcilerReport } from "#protocol/reconcile.ts";
import { poolsOf } from "../db/runs.ts";
import type { Env } from "../env.ts";
import { DEFAULT_POOL, fleetObject } from "../objects.ts";
import { nextSessions, reconcileSessions } from "./sessions.ts";

export type Step = { kind: "pool"; pool: string; after: string } | { kind: "sessions"; after: string };
export type Stepped = { reports: ReconcilerReport[]; next?: Step };

export async function allPools(env: Env, organizationId: string): Promise<string[]> {
  return [...new Set([DEFAULT_POOL, ...(await poolsOf(env, organizationId))])].sort();
}

/** One batch, and where to go on. @param step the first one when left out */
export async function sweepStep(
  env: Env,
  organizationId: string,
  { step, limit, which }: { step: Step | undefined; limit: number; which: readonly Reconciler[] },
): Promise<Stepped> {
  const pools = await allPools(env, organizationId);
  // A pool asks its sessions, too; where it has nothing of its own to look at, once is enough.
  const poolsFirst = which.includes("leases") || which.includes("queue");
  const first: Step = poolsFirst
    ? { kind: "pool", pool: pools[0] ?? DEFAULT_POOL, after: "" }
    : { kind: "sessions", after: "" };
  const at = step ?? first;
  if (at.kind === "sessions") {
    const ids = await nextSessions(env, organizationId, { after: at.after, limit, unfinished: false });
    const reports = await reconcileSessions(env, organizationId, ids, which);
    const last = ids.length === limit ? ids.at(-1) : undefined;
    return { reports, ...(last ? { next: { kind: "sessions", after: last } } : {}) };
  }
  const { reports, next } = await sweepPool(env, organizationId, { pool: at.pool, after: at.after, limit, which });
  if (next) return { reports, next: { kind: "pool", pool: at.pool, after: next } };
  const following = pools.find((pool) => pool > at.pool);
  return { reports, next: following ? { kind: "pool", pool: following, after: "" } : { kind: "sessions", after: "" } };
}

/** One batch of a pool's leases and queue; a pool that does not answer is a failure in the report. */
export async function sweepPool(
  env: Env,
  organizationId: string,
  { pool, after, limit, which }: { pool: string; after: string; limit: number; which: readonly Reconciler[] },
): Promise<{ reports: ReconcilerReport[]; next?: string }> {
  try {
    const { reports, next } = await fleetObject(env, organizationId, pool).reconcile({ which, after, limit });
    const named = reports.map((report) => ({
      ...report,
      findings: report.findings.map((finding) => ({ ...finding, pool })),
    }));
    return { reports: named, ...(next ? { next } : {}) };
  } catch (error) {
    const failures = [`pool ${pool}: ${String(error).slice(0, 500)}`];
    return { reports: mergeReports(which.map((reconciler) => ({ ...emptyReport(reconciler), failures }))) };
  }
}

/** As a caller carries it from one request to the next. */
export const stepCursor = z
  .string()
  .max(200)
  .transform((text, context): Step => {
    const match = /^(?:pool:([a-z0-9][a-z0-9-]{0,62})|(sessions)):((?:ses_[0-9a-z]{20})?)$/.exec(text);
    if (match?.[2]) return { kind: "sessions", after: match[3] ?? "" };
    if (match?.[1]) return { kind: "pool", pool: match[1], after: match[3] ?? "" };
    context.addIssue({ code: "custom", message: "not one that a sweep has given" });
    return z.NEVER;
  });

export const writeCursor = (step: Step): string =>
  step.kind === "pool" ? `pool:${step.pool}:${step.after}` : `sessions:${step.after}`;
