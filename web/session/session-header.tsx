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

type HeaderProps = { session: SessionState; page?: "conversation" | "files" | "changes" };

export function SessionHeader({ session, page = "conversation" }: HeaderProps) {
  const { view } = session;
  const run = activeRun(view);
  const link =
    "flex h-8 items-center gap-1.5 rounded-lg px-2.5 text-[0.8125rem] text-ink-soft hover:bg-line/60 hover:text-ink pointer-coarse:h-10";
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
      {page !== "conversation" && (
        <Link to="/s/$sessionId" params={{ sessionId: view.id }} className={link}>
          <MessagesSquare size={16} aria-hidden /> <span className="max-sm:sr-only">Conversation</span>
        </Link>
      )}
      {page !== "changes" && (
        <Link to="/s/$sessionId/changes" params={{ sessionId: view.id }} className={link}>
          <GitCompareArrows size={16} aria-hidden /> <span className="max-sm:sr-only">Changes</span>
        </Link>
      )}
      {page !== "files" && (
        <Link to="/s/$sessionId/files" params={{ sessionId: view.id }} className={link}>
          <FolderTree size={16} aria-hidden /> <span className="max-sm:sr-only">Files</span>
        </Link>
      )}
      {page === "conversation" && (
        <IconButton label="Details" className="xl:hidden" onClick={() => showOverlay("details")}>
          <PanelRight size={17} />
        </IconButton>
      )}
    </PageHeader>
  );
}
