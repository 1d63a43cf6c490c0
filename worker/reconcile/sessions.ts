/** Sessions compared with what D1 says of them, in batches by id. Each session mends itself; it alone knows. */
import { and, asc, desc, eq, gt, inArray, isNull, ne } from "drizzle-orm";
import {
  emptyReport,
  type IndexedSession,
  mergeReports,
  type Reconciler,
  type ReconcilerReport,
} from "#protocol/reconcile.ts";
import { humanLoop, runs, sessions } from "../../migrations/schema.ts";
import { database } from "../db/database.ts";
import type { Env } from "../env.ts";
import { sessionObject } from "../objects.ts";

/** D1 takes 100 parameters in a statement. */
export const MAX_BATCH = 50;
/** Runs of one session that are compared; a session keeps as many in its view. */
const RUNS_COMPARED = 250;
const AT_ONCE = 8;

/** The next session ids after `after`, deleted ones, too. `unfinished`: only those with runs that have not ended. */
export async function nextSessions(
  env: Env,
  organizationId: string,
  { after, limit, unfinished }: { after: string; limit: number; unfinished: boolean },
): Promise<string[]> {
  const db = database(env);
  if (!unfinished) {
    const rows = await db
      .select({ id: sessions.id })
      .from(sessions)
      .where(and(eq(sessions.organizationId, organizationId), gt(sessions.id, after)))
      .orderBy(asc(sessions.id))
      .limit(limit);
    return rows.map(({ id }) => id);
  }
  const rows = await db
    .selectDistinct({ id: runs.sessionId })
    .from(runs)
    .where(and(eq(runs.organizationId, organizationId), ne(runs.state, "finished"), gt(runs.sessionId, after)))
    .orderBy(asc(runs.sessionId))
    .limit(limit);
  return rows.map(({ id }) => id);
}

/**
 * Lets each session mend itself. One that does not answer is a failure of its own; the others are asked all the same.
 * @param ids at most MAX_BATCH
 */
export async function reconcileSessions(
  env: Env,
  organizationId: string,
  ids: readonly string[],
  which: readonly Reconciler[],
): Promise<ReconcilerReport[]> {
  if (ids.length === 0) return [];
  const indexedAt = Date.now();
  const indexed = which.includes("index") ? await indexedSessions(env, organizationId, ids) : undefined;
  const reports: ReconcilerReport[] = which.map(emptyReport);
  for (let i = 0; i < ids.length; i += AT_ONCE) {
    await Promise.all(
      ids.slice(i, i + AT_ONCE).map(async (sessionId) => {
        try {
          const session = sessionObject(env, organizationId, sessionId);
          const known = indexed ? { indexed: indexed.get(sessionId) ?? null, indexedAt } : {};
          const answer = await session.reconcile({ which, ...known });
          reports.push(...answer.reports);
          // D1 has it and the object does not: nothing is known of it, so nothing is done about it.
          if (!answer.standing.exists) {
            const finding = { reconciler: "index" as const, what: "session_unknown_to_its_object", mended: false };
            reports.push({ ...emptyReport("index"), looked: 1, findings: [{ ...finding, sessionId }] });
          }
        } catch (error) {
          for (const reconciler of which) {
            reports.push({ ...emptyReport(reconciler), failures: [`${sessionId}: ${String(error).slice(0, 500)}`] });
          }
        }
      }),
    );
  }
  return mergeReports(reports);
}

async function indexedSessions(
  env: Env,
  organizationId: string,
  ids: readonly string[],
): Promise<Map<string, IndexedSession>> {
  const db = database(env);
  const [rows, runRows, waiting] = await Promise.all([
    db
      .select()
      .from(sessions)
      .where(and(eq(sessions.organizationId, organizationId), inArray(sessions.id, [...ids]))),
    db
      .select({ id: runs.id, sessionId: runs.sessionId, state: runs.state })
      .from(runs)
      .where(and(eq(runs.organizationId, organizationId), inArray(runs.sessionId, [...ids])))
      .orderBy(desc(runs.queuedAt))
      .limit(RUNS_COMPARED * ids.length),
    db
      .select({ id: humanLoop.id, runId: humanLoop.runId, sessionId: humanLoop.sessionId })
      .from(humanLoop)
      .where(
        and(
          eq(humanLoop.organizationId, organizationId),
          inArray(humanLoop.sessionId, [...ids]),
          isNull(humanLoop.resolvedAt),
        ),
      ),
  ]);
  const runsOf = Map.groupBy(runRows, (run) => run.sessionId);
  const waitingOf = Map.groupBy(waiting, (request) => request.sessionId);
  return new Map(
    rows.map(({ id, title, activity, workerState, needsAttention, deleted }) => [
      id,
      {
        session: { title, activity, workerState, needsAttention, deleted },
        runs: (runsOf.get(id) ?? []).map((run) => ({ id: run.id, state: run.state })),
        pending: (waitingOf.get(id) ?? []).map((request) => ({ id: request.id, runId: request.runId })),
      },
    ]),
  );
}
