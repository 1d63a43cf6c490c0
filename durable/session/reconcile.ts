/**
 * A session looks at itself, and at what the pool and D1 say of it. Everything it does about it is what would have
 * been done anyway: an effect carried out again, a deadline set again, a turn of its own.
 */

import type { SessionEvent } from "#protocol/events.ts";
import { newId, objectName } from "#protocol/ids.ts";
import type { FleetRpc } from "#protocol/objects.ts";
import {
  eachAlone,
  type Finding,
  type IndexedSession,
  type Reconciler,
  type ReconcilerReport,
  type SessionReconcile,
  type SessionReconciled,
  type SessionStanding,
} from "#protocol/reconcile.ts";
import { activeRun, queuedRuns, type SessionView } from "#protocol/session-view.ts";
import { summarize } from "#protocol/summary.ts";
import type { ObjectsEnv } from "../shell/env.ts";
import type { SessionCommand } from "./commands.ts";
import { deadlinesOf, staleSync } from "./decide-reconcile.ts";
import { fleetKey, indexKey } from "./effects.ts";
import { askFleet, type Indexed } from "./react.ts";
import { holdsLease } from "./run-steps.ts";
import type { Session } from "./session.ts";

export async function reconcileSession(
  session: Session,
  env: Pick<ObjectsEnv, "FLEET">,
  { which, indexed, indexedAt = 0 }: SessionReconcile,
): Promise<SessionReconciled> {
  const reports = session.exists
    ? await eachAlone(which, {
        runs: (report) => staleRuns(session, env, report),
        index: (report) => indexBehind(session, session.indexedAt < indexedAt ? indexed : undefined, report),
        deadlines: (report) => lostDeadlines(session, report),
        syncs: (report) => staleSyncs(session, report),
      })
    : [];
  await session.chores.settle();
  return { standing: standingOf(session), reports };
}

function standingOf(session: Session): SessionStanding {
  const { view } = session;
  const leaseHostId = holdsLease(view) ? view.worker.hostId : undefined;
  return { exists: session.exists, epoch: view.epoch, leaseHostId, waitingRunId: waitingRun(view)?.id };
}

/** The run that a lease is asked for; behind an active run, or with a worker there, none is. */
function waitingRun(view: SessionView) {
  return activeRun(view) || holdsLease(view) ? undefined : queuedRuns(view)[0];
}

/* ── runs ── */

async function staleRuns(session: Session, env: Pick<ObjectsEnv, "FLEET">, report: ReconcilerReport): Promise<void> {
  const { organizationId, pool, sessionId } = session.identity;
  report.looked += session.view.runs.filter((run) => run.state !== "finished").length;
  const ended = turn(session, { type: "reconcile" });
  if (ended.length > 0) found(report, session, "state_without_exit", { runId: ended[0]?.runId });
  const fleet = env.FLEET.getByName(objectName(organizationId, pool));
  if (holdsLease(session.view)) return await leaseStillThere(session, fleet, report);
  const run = waitingRun(session.view);
  // An entry that is on its way needs no second one.
  if (!run || session.chores.outbox.owes(fleetKey.ask(run.id))) return;
  const { queuedRunId, lease } = await fleet.standing(sessionId);
  if (queuedRunId !== undefined || lease || waitingRun(session.view)?.id !== run.id) return;
  session.again(askFleet(session.view), Date.now());
  found(report, session, "run_not_in_the_queue", { runId: run.id });
}

/** A lease that the pool does not know will never be lost by it, either: nobody would end the run. */
async function leaseStillThere(session: Session, fleet: FleetRpc, report: ReconcilerReport): Promise<void> {
  const { view } = session;
  if (!holdsLease(view)) return;
  const { hostId } = view.worker;
  const { lease } = await fleet.standing(session.identity.sessionId);
  if (lease?.hostId === hostId && lease.epoch === view.epoch) return;
  // While the pool was asked, the lease may have ended in the ordinary way.
  if (!holdsLease(session.view) || session.view.epoch !== view.epoch) return;
  const runId = activeRun(session.view)?.id;
  turn(session, { type: "lease_lost", epoch: view.epoch, reason: "The pool knows of no such lease any more." });
  found(report, session, "lease_unknown_to_pool", { hostId, runId });
}

/* ── index ── */

function indexBehind(session: Session, indexed: IndexedSession | null | undefined, report: ReconcilerReport): void {
  if (indexed === undefined) return;
  report.looked++;
  for (const { what, why } of behind(session, indexed)) {
    if (session.chores.outbox.owes(indexKey(what))) continue;
    session.again([{ type: "index", what }], Date.now());
    found(report, session, why, what.kind === "run" ? { runId: what.id } : {});
  }
}

function behind(session: Session, indexed: IndexedSession | null): { what: Indexed; why: string }[] {
  const { view } = session;
  const missing: { what: Indexed; why: string }[] = [];
  const { title, activity, workerState, needsAttention } = summarize(view);
  const own: IndexedSession["session"] = { title, activity, workerState, needsAttention, deleted: view.deleted };
  const fields = Object.keys(own) as (keyof typeof own)[];
  if (!indexed || fields.some((field) => indexed.session[field] !== own[field]))
    missing.push({ what: { kind: "session" }, why: indexed ? "session_row_behind" : "session_row_missing" });
  const rows = new Map(indexed?.runs.map((run) => [run.id, run.state]));
  for (const run of view.runs)
    if (rows.get(run.id) !== run.state) missing.push({ what: { kind: "run", id: run.id }, why: "run_row_behind" });
  const pending = new Set(indexed?.pending.map(({ id }) => id));
  for (const { requestId, runId } of view.pending) {
    const event = pending.has(requestId) ? undefined : spoken(session, runId, "human_loop.requested", requestId);
    if (event) missing.push({ what: { kind: "request", event }, why: "request_row_missing" });
  }
  const open = new Set(view.pending.map(({ requestId }) => requestId));
  for (const { id, runId } of indexed?.pending ?? []) {
    const event = open.has(id) ? undefined : spoken(session, runId, "human_loop.resolved", id);
    if (event) missing.push({ what: { kind: "answer", event }, why: "request_row_behind" });
  }
  return missing;
}

type Of<T extends SessionEvent["type"]> = Extract<SessionEvent, { type: T }>;

function spoken<T extends "human_loop.requested" | "human_loop.resolved">(
  session: Session,
  runId: string,
  type: T,
  requestId: string,
): Of<T> | undefined {
  const events = session.history.ofRun(session.view, runId, [type]);
  return events.find((event): event is Of<T> => event.type === type && event.data.requestId === requestId);
}

/* ── deadlines and syncs ── */

async function lostDeadlines(session: Session, report: ReconcilerReport): Promise<void> {
  const { deadlines } = session.chores;
  const now = Date.now();
  for (const { name, at } of deadlinesOf(session.view, now)) {
    report.looked++;
    if (deadlines.at(name) !== undefined) continue;
    deadlines.set(name, at);
    found(report, session, "deadline_missing", { detail: name });
  }
  const lost = await session.chores.rearm(now);
  if (lost) found(report, session, lost);
}

function staleSyncs(session: Session, report: ReconcilerReport): void {
  report.looked++;
  const why = staleSync(session.view, Date.now());
  // Without its host nothing can be saved, and asking would only pile up.
  if (!why || session.hostSockets("live").length === 0) return;
  session.again([{ type: "send_host", message: { type: "sync.now" } }], Date.now());
  found(report, session, why);
}

function turn(session: Session, command: SessionCommand): SessionEvent[] {
  const by = { id: "system", name: "Gantry" };
  const result = session.handle(command, { by, now: Date.now(), traceId: newId("trc") });
  return result.ok ? result.events : [];
}

function found(
  report: ReconcilerReport,
  session: Session,
  what: string,
  more: Partial<Pick<Finding, "runId" | "hostId" | "detail">> = {},
): void {
  const { reconciler }: { reconciler: Reconciler } = report;
  report.findings.push({ reconciler, what, mended: true, sessionId: session.identity.sessionId, ...more });
}
