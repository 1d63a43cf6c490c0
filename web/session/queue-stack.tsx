import { CornerDownRight, X } from "lucide-react";
import { IconButton } from "../ui/button.tsx";
import type { SessionStore } from "./session-store.ts";
import type { Waiting } from "./turns.ts";

/** Follow-ups in line, in order. They live on the server: every page sees the same stack. */
export function QueueStack({ items, store }: { items: readonly Waiting[]; store: SessionStore }) {
  if (items.length === 0) return null;
  return (
    <ol aria-label="Queued follow-ups" className="max-h-24 sm:max-h-36 overflow-y-auto rounded-xl border bg-surface">
      {items.map(({ key, text, runId, out }) => (
        <li
          key={key}
          data-testid="queue-item"
          className="flex items-center gap-2 border-t py-1 ps-3 pe-1 text-sm first:border-t-0"
        >
          <CornerDownRight size={14} className="shrink-0 text-ink-soft" aria-hidden />
          <span className="min-w-0 flex-1 truncate" dir="auto">
            {text}
          </span>
          <span className="shrink-0 text-ink-soft text-xs">
            {out?.state === "refused" ? `Not sent: ${out.message}` : out ? "Sending…" : "Queued"}
          </span>
          <IconButton
            label={`Remove from queue: ${text.slice(0, 60)}`}
            disabled={!runId && out?.state !== "refused"}
            onClick={() => (runId ? store.stopRun(runId) : out && store.discard(out.command.id))}
          >
            <X size={14} />
          </IconButton>
        </li>
      ))}
    </ol>
  );
}
