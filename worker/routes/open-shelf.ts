/** The door to a session's snapshots for people: the session says whether it is there, the principal says whose it is. */
import type { SessionView } from "#protocol/session-view.ts";
import type { AppContext } from "../context.ts";
import { refuse, unwrap } from "../errors.ts";
import { sessionObject } from "../objects.ts";
import type { Shelf } from "../store/keys.ts";
import type { ObjectStore } from "../store/object-store.ts";
import { openStore } from "../store/open-store.ts";

/** @throws Refused `not_found`, `gone` */
export async function openShelf(
  c: AppContext,
  sessionId: string,
): Promise<{ store: ObjectStore; shelf: Shelf; view: SessionView }> {
  const { organizationId } = c.var.principal;
  c.set("log", c.var.log.with({ sessionId }));
  const { view } = unwrap(await sessionObject(c.env, organizationId, sessionId).view());
  if (view.deleted) refuse("gone", "this session was deleted");
  return { store: await openStore(c.env), shelf: { organizationId, sessionId }, view };
}

/** @throws Refused `snapshot_not_found` */
export function newestOf(view: SessionView): string {
  return view.workspace.snapshotId ?? refuse("snapshot_not_found", "nothing of this session has been saved yet");
}
