import { useNavigate } from "@tanstack/react-router";
import { GitFork } from "lucide-react";
import { useState } from "react";
import { api } from "../api.ts";
import { toast } from "../ui/toast.tsx";

/** A new session that begins with the files of this snapshot. */
export function ForkButton({ sessionId, snapshotId }: { sessionId: string; snapshotId: string }) {
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const fork = async (): Promise<void> => {
    setBusy(true);
    try {
      const { session } = await api.forkSession(sessionId, snapshotId);
      await navigate({ to: "/s/$sessionId", params: { sessionId: session.id } });
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      data-testid="fork"
      disabled={busy}
      onClick={() => void fork()}
      className="flex h-8 w-full items-center gap-2 rounded-lg px-2.5 text-ink-soft text-sm hover:bg-line/60 hover:text-ink disabled:opacity-50 pointer-coarse:h-10"
    >
      <GitFork size={15} aria-hidden /> {busy ? "Copying the files…" : "New session from these files"}
    </button>
  );
}
