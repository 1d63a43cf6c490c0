/**
 * The worker of an idle session in good order off this host:
 *
 *   sync ─► remove worker ─► sync ─► stopped
 *
 * The first sync is the gate: while it fails the worker is kept. What a process in the worker wrote between it and the
 * end is caught by the second, which finds nothing as a rule. A run that comes meanwhile gets the worker that is there.
 */
import type { FromHostData } from "#protocol/messages.ts";
import type { Records } from "./records.ts";
import type { SessionWorker } from "./session-worker.ts";

export type StopNeeds = {
  sessionId: string;
  records: Records;
  transaction<T>(work: () => T): T;
  say(message: FromHostData): void;
  worker: Pick<SessionWorker, "live" | "remove">;
  /** Resolves when the store has everything that is ours to save, or when the signal fires. */
  saved(): Promise<void>;
  /** Something on disk may have changed. The last listener is called. */
  onNews(listener: () => void): void;
  /** The lease is lost or the daemon closes. */
  signal: AbortSignal;
};

/** Between SIGTERM and SIGKILL when a worker is stopped in good order. */
const STOP_GRACE_MS = 5_000;

/** Resolves when the session is off this host but for its lease, or when a run came first. @throws the signal's reason */
export async function stopWorker(needs: StopNeeds): Promise<void> {
  const { sessionId, records, worker, say, signal } = needs;
  say({ type: "worker.status", state: "stopping" });
  if (await savedUnlessWanted(needs)) await worker.remove(STOP_GRACE_MS);
  else if (worker.live()) say({ type: "worker.status", state: "active" });
  if (!(await savedUnlessWanted(needs))) return;
  signal.throwIfAborted();
  needs.transaction(() => {
    records.markStopped(sessionId);
    say({ type: "worker.status", state: "stopped", warm: records.workspace(sessionId)?.snapshotId ?? null });
  });
}

/** True when everything is saved; false when a run came first, for which the worker is wanted again. */
async function savedUnlessWanted({ sessionId, records, saved, onNews, signal }: StopNeeds): Promise<boolean> {
  const runs = () => records.runs(sessionId).length;
  if (runs() > 0) return false;
  const wanted = new Promise<void>((resolve) => {
    onNews(() => runs() > 0 && resolve());
  });
  await Promise.race([saved(), wanted]);
  onNews(() => {});
  signal.throwIfAborted();
  return runs() === 0;
}
