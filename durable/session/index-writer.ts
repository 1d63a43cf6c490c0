/**
 * Brings what this object knows into the D1 index: idempotent upserts, where only a larger version replaces a row. D1
 * may lag; it never decides.
 */
import { and, eq, lt, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import type { RunView } from "#protocol/run-view.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { runById } from "#protocol/session-view.ts";
import { runRecordOf, summarize } from "#protocol/summary.ts";
import { humanLoop, runs, sessions, snapshotPins, snapshots } from "../../migrations/schema.ts";
import type { Indexed } from "./react.ts";

/** @throws whatever D1 throws; the outbox tries again */
export async function writeIndex(
  database: D1Database,
  organizationId: string,
  view: SessionView,
  what: Indexed,
): Promise<void> {
  const db = drizzle(database);
  const version = view.cursor;
  const sessionId = view.id;
  switch (what.kind) {
    case "session": {
      const { createdBy, ...summary } = summarize(view);
      const row = {
        ...summary,
        createdById: createdBy.id,
        createdByName: createdBy.name,
        workerState: view.worker.state,
        deleted: view.deleted,
        version,
      };
      await db
        .insert(sessions)
        .values({ ...row, organizationId })
        .onConflictDoUpdate({
          target: [sessions.organizationId, sessions.id],
          set: row,
          setWhere: lt(sessions.version, version),
        });
      return;
    }
    case "run": {
      const run = runById(view, what.id);
      if (!run) return;
      const { detail: _live, redriveOf: _of, ...record } = runRecordOf(sessionId, run);
      const row = {
        ...record,
        outcome: record.outcome ?? null,
        reason: record.reason ?? null,
        finishedAt: record.finishedAt ?? null,
        version,
      };
      await db
        .insert(runs)
        .values({ ...row, organizationId })
        .onConflictDoUpdate({ target: [runs.organizationId, runs.id], set: row, setWhere: lt(runs.version, version) });
      return;
    }
    case "request": {
      const { data, runId = "", at } = what.event;
      const { requestId: id, toolCallId: _call, ...rest } = data;
      await db
        .insert(humanLoop)
        .values({ ...rest, id, organizationId, sessionId, runId, requestedAt: at, version: what.event.seq })
        .onConflictDoNothing();
      return;
    }
    case "seen": {
      const { requestId, expiresAt } = what.event.data;
      const row = and(eq(humanLoop.organizationId, organizationId), eq(humanLoop.id, requestId));
      const seen = await db.update(humanLoop).set({ expiresAt }).where(row).returning({ id: humanLoop.id });
      if (seen.length === 0) throw new Error("the request is not in the index yet");
      return;
    }
    case "answer": {
      const { data, at, seq } = what.event;
      const answered = await db
        .update(humanLoop)
        .set({
          resolvedAt: at,
          resolution: data.decision,
          resolvedById: data.by?.id,
          resolvedByName: data.by?.name,
          version: seq,
        })
        .where(and(eq(humanLoop.organizationId, organizationId), eq(humanLoop.id, data.requestId)))
        .returning({ id: humanLoop.id });
      if (answered.length === 0) throw new Error("the request is not in the index yet");
      return;
    }
    case "snapshot": {
      const { data, at, seq } = what.event;
      await db
        .insert(snapshots)
        .values({
          id: data.snapshotId,
          organizationId,
          sessionId,
          files: data.files,
          bytes: data.bytes ?? 0,
          createdAt: at,
          runId: runBefore(view, at)?.id,
          version: seq,
        })
        .onConflictDoUpdate({
          target: [snapshots.organizationId, snapshots.id],
          set: {
            version: sql`max(${snapshots.version}, ${seq})`,
            // Committed again: it is the session's newest, whatever was decided about it before.
            prunedAt: sql`case when ${snapshots.version} < ${seq} then null else ${snapshots.prunedAt} end`,
          },
        });
      return;
    }
    case "branch": {
      const { data, at, seq } = what.event;
      const { snapshotId, hostId, files, bytes = 0 } = data;
      // Pinned: it is no part of the session's own line, so nothing else would keep it.
      const pin = { organizationId, sessionId, snapshotId, holder: "people", createdByName: "Gantry", createdAt: at };
      await db.batch([
        db
          .insert(snapshots)
          .values({
            id: snapshotId,
            organizationId,
            sessionId,
            files,
            bytes,
            createdAt: at,
            keptFrom: hostId,
            version: seq,
          })
          .onConflictDoNothing(),
        db.insert(snapshotPins).values(pin).onConflictDoNothing(),
      ]);
      return;
    }
    default:
      return what satisfies never;
  }
}

/**
 * The run whose work a snapshot of that time holds: the last one that had started by then. Runs of a session follow each
 * other, so this stays the same however late the row is written.
 */
function runBefore(view: SessionView, at: number): RunView | undefined {
  const started = view.runs.filter((run) => run.startedAt !== undefined && run.startedAt <= at);
  return started.reduce<RunView | undefined>(
    (last, run) => (last === undefined || run.startedAt! >= last.startedAt! ? run : last),
    undefined,
  );
}
