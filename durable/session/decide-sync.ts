/** What people decide about a workspace that its host cannot save, and what becomes of work that a lost host had. */
import { type CommitSnapshot, type Rejection, reject, type StoreAccess } from "#protocol/objects.ts";
import { activeRun, type SessionView } from "#protocol/session-view.ts";
import type { Asked, Decision, SessionCommand } from "./commands.ts";
import { holdsLease, leaseRefusal, stopIdleWorker } from "./run-steps.ts";

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

/** Why this host may not hand in what it had under a lease that it lost; undefined when it may (SPEC [S-47]). */
function branchRefusal(view: SessionView, { hostId, epoch }: { hostId: string; epoch: number }): Rejection | undefined {
  if (view.deleted) return reject("gone", "This session was deleted.");
  const lost = view.workspace.kept?.find((entry) => entry.epoch === epoch);
  if (!lost || lost.hostId !== hostId) {
    return reject(
      "stale_epoch",
      `This host has lost no lease ${epoch} of this session; the current epoch is ${view.epoch}.`,
    );
  }
  if (lost.state !== "preserved") return undefined;
  const details = { snapshotId: lost.snapshotId };
  return reject("already_kept", "What this host had under this lease was handed in before.", details);
}

/** The same snapshot again changes nothing: the first answer may have been lost. */
export function decideBranch(view: SessionView, commit: CommitSnapshot): Decision {
  const { hostId, epoch, snapshotId, files, bytes, bytesSent, durationMs } = commit;
  const refusal = branchRefusal(view, commit);
  if (refusal)
    return refusal.reason === "already_kept" && isPreserved(view, commit) ? { ok: true, events: [] } : refusal;
  const data = { hostId, epoch, snapshotId, files, bytes, bytesSent, durationMs };
  return { ok: true, events: [{ type: "workspace.kept", data }] };
}

function isPreserved({ workspace }: SessionView, { epoch, snapshotId }: CommitSnapshot): boolean {
  return (
    workspace.kept?.some(
      (entry) => entry.epoch === epoch && entry.state === "preserved" && entry.snapshotId === snapshotId,
    ) === true
  );
}

/** Why a host may not reach this session's packs; undefined when it may. */
export function storeRefusal(view: SessionView, { hostId, epoch, lease }: StoreAccess): Rejection | undefined {
  return lease === "lost" ? branchRefusal(view, { hostId, epoch: epoch ?? 0 }) : leaseRefusal(view, hostId, epoch);
}
