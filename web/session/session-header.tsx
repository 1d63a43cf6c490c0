import { Link } from "@tanstack/react-router";
import { FolderTree, GitCompareArrows, MessagesSquare, PanelRight } from "lucide-react";
import { activeRun } from "#protocol/session-view.ts";
import { IconButton } from "../ui/button.tsx";
import { showOverlay } from "../ui/overlay.ts";
import { PageHeader } from "../ui/page-header.tsx";
import { ProviderIcon } from "../ui/provider-icon.tsx";
import { StatusDot } from "../ui/status-dot.tsx";
import { STATE_TEXT } from "./outcome-texts.ts";
import type { SessionState } from "./session-state.ts";

/** The three sides of a session, always in the same place. */
const PAGES = [
  { to: "/s/$sessionId", name: "Conversation", Icon: MessagesSquare },
  { to: "/s/$sessionId/changes", name: "Changes", Icon: GitCompareArrows },
  { to: "/s/$sessionId/files", name: "Files", Icon: FolderTree },
] as const;

/** `hasDetails`: the page has a rail that is hidden on narrow windows. */
export function SessionHeader({ session, hasDetails = false }: { session: SessionState; hasDetails?: boolean }) {
  const { view } = session;
  const run = activeRun(view);
  return (
    <PageHeader>
      {view.createdAt > 0 && <ProviderIcon provider={view.provider} className="max-sm:hidden" />}
      <h1 className="min-w-0 flex-1 truncate font-semibold">{view.title || "Session"}</h1>
      <span role="status" className="flex items-center gap-2 text-ink-soft text-sm">
        {run && (
          <>
            <StatusDot tone={run.state === "waiting" ? "warn" : "busy"} />
            <span className="max-sm:sr-only">{STATE_TEXT[run.state]}</span>
          </>
        )}
      </span>
      <nav aria-label="Session" className="flex items-center gap-0.5">
        {PAGES.map(({ to, name, Icon }) => (
          <Link
            key={to}
            to={to}
            params={{ sessionId: view.id }}
            activeOptions={{ exact: true, includeSearch: false }}
            title={name}
            className="flex h-8 items-center gap-1.5 rounded-lg px-2.5 text-[0.8125rem] text-ink-soft hover:bg-line/60 hover:text-ink pointer-coarse:h-10"
            activeProps={{ className: "bg-line/60 font-medium text-ink" }}
          >
            <Icon size={16} aria-hidden /> <span className="max-sm:sr-only">{name}</span>
          </Link>
        ))}
      </nav>
      {hasDetails && (
        <IconButton label="Details" className="xl:hidden" onClick={() => showOverlay("details")}>
          <PanelRight size={17} />
        </IconButton>
      )}
    </PageHeader>
  );
}
