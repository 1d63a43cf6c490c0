/** The host has stopped trying to save: what people can decide about it. */
import { useState } from "react";
import type { SyncChoice } from "#protocol/vocabulary.ts";
import { api } from "../api.ts";
import { toast } from "../ui/toast.tsx";

const BUTTON = "h-8 rounded-lg border px-2.5 text-ink text-sm hover:bg-line/60 disabled:opacity-50 pointer-coarse:h-10";

export function BlockedWorkspace({ sessionId }: { sessionId: string }) {
  const [busy, setBusy] = useState(false);
  const [reason, setReason] = useState<string>();
  const decide = async (choice: SyncChoice): Promise<void> => {
    setBusy(true);
    try {
      await api.decideSync(sessionId, choice, choice === "discard" ? reason : undefined);
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), "bad");
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="mt-2 flex flex-col gap-2" data-testid="blocked-workspace">
      <p className="text-ink text-xs">The host has stopped trying. Nothing is removed until you decide.</p>
      <div className="flex flex-wrap gap-2">
        <button type="button" className={BUTTON} disabled={busy} onClick={() => void decide("retry")}>
          Try once more
        </button>
        <button type="button" className={BUTTON} disabled={busy} onClick={() => void decide("extend")}>
          Keep trying
        </button>
        <button
          type="button"
          className={BUTTON}
          disabled={busy}
          onClick={() => setReason(reason === undefined ? "" : undefined)}
        >
          Give up unsaved work…
        </button>
      </div>
      {reason !== undefined && (
        <form
          className="flex gap-2"
          onSubmit={(event) => {
            event.preventDefault();
            void decide("discard");
          }}
        >
          <input
            aria-label="Why the unsaved work is given up"
            placeholder="Why? This goes on record."
            className="h-8 min-w-0 flex-1 rounded-lg border px-2.5 text-ink text-sm"
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
          <button type="submit" className={BUTTON} disabled={busy || !reason.trim()}>
            Give up
          </button>
        </form>
      )}
    </div>
  );
}
