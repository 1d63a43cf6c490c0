/** The door to a session's snapshots for people: the session says whether it is there, the principal says whose it is. */
import type { SessionView } from "#protocol/session-view.ts";
import type { AppContext } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { findSnapshot } from "../db/snapshots.ts";
import { Refused, refuse, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import type { Shelf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { openStore } from "../store/open-store.ts";

/** Refusals are on record, too. @throws Refused `not_found`, `gone` */
export async function openShelf(
  c: AppContext,
  sessionId: string,
): Promise<{ store: ObjectStore; shelf: Shelf; view: SessionView }> {
  const { organizationId } = c.var.principal;
  c.set("log", c.var.log.with({ sessionId }));
  const found = await sessionObject(c.env, organizationId, sessionId).view();
  if (!found.ok || found.view.deleted) {
    const reason = found.ok ? "gone" : found.reason;
    await recordAudit(c, { action: "files.read", target: sessionId, allowed: false, reason });
    if (found.ok) return refuse("gone", "This session was deleted, and its files with it.");
  }
  const { view } = unwrap(found);
  return { store: await openStore(c.env), shelf: { organizationId, sessionId }, view };
}

/** @throws Refused `snapshot_not_found` */
export function newestOf(view: SessionView): string {
  return view.workspace.snapshotId ?? refuse("snapshot_not_found", "Nothing of this session has been saved yet.");
}

/** For a snapshot that the store does not have. @throws Refused `snapshot_pruned` with when, or `snapshot_not_found` */
export async function refuseSnapshot(c: AppContext, { organizationId, sessionId }: Shelf, id: string): Promise<never> {
  const row = await findSnapshot(c.env, organizationId, id);
  if (row?.sessionId !== sessionId || row.prunedAt === null)
    return refuse("snapshot_not_found", "There is no such snapshot of this session.", { snapshotId: id });
  return refuse(
    "snapshot_pruned",
    "This snapshot is no longer kept. A session keeps its newest three, those of the last day, and those that are pinned. Choose one of these.",
    { snapshotId: id, prunedAt: row.prunedAt },
  );
}

/**
 * Carries out what somebody asked of a shelf and puts it on record before the answer leaves: allowed, or refused and why
 * . What fails for a reason of ours was allowed all the same.
 */
export async function onRecord<T>(
  c: AppContext,
  what: { action: string; target: string },
  work: () => Promise<T> | T,
): Promise<T> {
  let answer: T;
  try {
    answer = await work();
  } catch (error) {
    const refused = error instanceof Refused;
    const reason = refused ? error.rejection.reason : error instanceof Error ? error.name : "failed";
    await recordAudit(c, { ...what, allowed: !refused, reason });
    throw error;
  }
  await recordAudit(c, { ...what, allowed: true });
  return answer;
}
