import { GitFork } from "lucide-react";
import { useFork } from "./use-fork.ts";

/** A new session that begins with the files of this snapshot. */
export function ForkButton({ sessionId, snapshotId }: { sessionId: string; snapshotId: string }) {
  const { busy, fork } = useFork(sessionId);
  return (
    <button
      type="button"
      data-testid="fork"
      disabled={busy}
      onClick={() => void fork(snapshotId)}
      className="flex h-8 w-full items-center gap-2 rounded-lg px-2.5 text-ink-soft text-sm hover:bg-line/60 hover:text-ink disabled:opacity-50 pointer-coarse:h-10"
    >
      <GitFork size={15} aria-hidden /> {busy ? "Copying the files…" : "Restore as a new session"}
    </button>
  );
}
