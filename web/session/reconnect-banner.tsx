import { WifiOff } from "lucide-react";
import { Button } from "../ui/button.tsx";
import { useNow } from "../ui/relative-time.tsx";
import type { LinkState } from "./session-link.ts";

/** A link that comes back within this time was nobody's business. */
const SILENT_MS = 5_000;

/** Only while a run is active: otherwise there is nothing to miss. The work goes on without this page. */
export function ReconnectBanner({
  link,
  running,
  onRetry,
}: {
  link: LinkState;
  running: boolean;
  onRetry: () => void;
}) {
  const now = useNow();
  const shown = running && link.downSince !== undefined && now - link.downSince >= SILENT_MS;
  return (
    <div role="status" aria-live="polite">
      {shown && (
        <div
          data-testid="reconnect-banner"
          className="flex flex-wrap items-center gap-x-3 gap-y-1 border-warn/40 border-b bg-warn-wash px-4 py-2 text-sm"
        >
          <WifiOff size={16} className="text-warn" aria-hidden />
          <span className="min-w-0 flex-1">
            Connection lost. The run goes on; reconnecting
            {link.attempt > 0 ? `, attempt ${link.attempt}` : ""}…
          </span>
          <Button size="small" onClick={onRetry} disabled={link.phase !== "waiting"}>
            Retry now
          </Button>
        </div>
      )}
    </div>
  );
}
