/** The door to a session's snapshots for people: the session says whether it is there, the principal says whose it is. */
import type { SessionView } from "#protocol/session-view.ts";
import type { AppContext } from "../context.ts";
import { recordAudit } from "../db/audit.ts";
import { refuse, unwrap } from "../errors.ts";
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
    if (found.ok) return refuse("gone", "this session was deleted");
  }
  const { view } = unwrap(found);
  return { store: await openStore(c.env), shelf: { organizationId, sessionId }, view };
}

/** @throws Refused `snapshot_not_found` */
export function newestOf(view: SessionView): string {
  return view.workspace.snapshotId ?? refuse("snapshot_not_found", "nothing of this session has been saved yet");
}
