/** What people decide about a workspace that its host cannot save. */
import { reject } from "#protocol/objects.ts";
import { activeRun, type SessionView } from "#protocol/session-view.ts";
import type { Asked, SessionCommand } from "./commands.ts";
import type { Decision } from "./decide.ts";
import { holdsLease, stopIdleWorker } from "./run-steps.ts";

export function decideSync(
  view: SessionView,
  { choice, reason }: Extract<SessionCommand, { type: "decide_sync" }>,
  asked: Asked,
): Decision {
  if (!view.workspace.failure) return reject("nothing_to_decide", "The workspace is saved, or being saved.");
  if (!holdsLease(view)) {
    return reject("no_lease", "The host that has the unsaved work is gone; it keeps the work until it is back.");
  }
  const decided = { type: "workspace.sync_decided", data: { choice, reason, by: asked.by } } as const;
  if (choice !== "discard") return { ok: true, events: [decided] };
  if (!view.workspace.failure.blocked) {
    return reject("still_trying", "The host still tries to save. Work is given up only when it has stopped trying.");
  }
  if (activeRun(view)) return reject("run_active", "A run is at work in this workspace. Stop it first.");
  if (!reason?.trim()) return reject("reason_missing", "Giving work up needs a reason, which goes on record.");
  return { ok: true, events: [decided, ...stopIdleWorker(view, "unsaved work was given up")] };
}
