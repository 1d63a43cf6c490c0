/** The sweep of the store as a reconciler: a few shelves at a time, each alone, with what was done as findings. */
import { emptyReport, type ReconcilerReport } from "#protocol/reconcile.ts";
import { markTried, shelvesOf, shelvesToSweep } from "../db/shelves.ts";
import { recordSweep } from "../db/swept-snapshots.ts";
import type { Env } from "../env.ts";
import type { Shelf } from "../store/keys.ts";
import { openStore } from "../store/open-store.ts";
import { sweepShelf } from "../store/sweep.ts";

/** How often a shelf is looked at, and how many at once: some hundred calls of the 1,000 that an invocation may make. */
const EVERY_MS = 60 * 60_000;
export const SHELVES = 5;

/** The shelves that are due, of all organisations, the longest unswept first. */
export async function sweepDueShelves(env: Env, nowMs: number): Promise<ReconcilerReport> {
  return sweepShelves(env, await shelvesToSweep(env, nowMs - EVERY_MS, SHELVES), nowMs);
}

/** The next shelves of one organisation, due or not. @param after the last session of the batch before */
export async function sweepShelvesOf(
  env: Env,
  organizationId: string,
  { after, limit, nowMs }: { after: string; limit: number; nowMs: number },
): Promise<{ report: ReconcilerReport; next?: string }> {
  const shelves = await shelvesOf(env, organizationId, { after, limit });
  const report = await sweepShelves(env, shelves, nowMs);
  const last = shelves.length === limit ? shelves.at(-1) : undefined;
  return { report, ...(last ? { next: last.sessionId } : {}) };
}

async function sweepShelves(env: Env, shelves: readonly Shelf[], nowMs: number): Promise<ReconcilerReport> {
  const report = emptyReport("store");
  const store = await openStore(env);
  for (const shelf of shelves) {
    const { sessionId } = shelf;
    report.looked++;
    try {
      const done = await sweepShelf(env, store, shelf, nowMs);
      const found = { reconciler: "store" as const, mended: true, sessionId };
      if (done.pruned > 0)
        report.findings.push({ ...found, what: "snapshots_given_up", detail: `${done.pruned} snapshots` });
      if (done.removed.length > 0) {
        const detail = `${done.removed.length} objects, ${done.freedBytes} bytes`;
        report.findings.push({ ...found, what: "unneeded_removed", detail });
      }
      if (done.pruned + done.removed.length > 0) await recordSweep(env, shelf, done, nowMs);
    } catch (error) {
      report.failures.push(`${sessionId}: ${String(error).slice(0, 500)}`);
      // Its turn comes again in an hour; a few that cannot be read must not hold up all others.
      await markTried(env, shelf, nowMs);
    }
  }
  return report;
}
