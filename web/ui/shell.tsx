/** The frame around every page of a signed-in person. */
import { Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useCallback, useEffect, useRef } from "react";
import { Sidebar } from "../sessions/sidebar.tsx";
import { CommandPalette } from "./command-palette.tsx";
import { HelpDialog } from "./help-dialog.tsx";
import { showOverlay, useOverlay } from "./overlay.ts";
import { SessionsDrawer } from "./sessions-drawer.tsx";
import { focusOn, isTyping, layerIsOpen, useKeys } from "./shortcuts.ts";

/** "g then h": the second key has this long. */
const SEQUENCE_MS = 1_200;

export function Shell() {
  const overlay = useOverlay();
  const path = useRouterState({ select: (state) => state.location.pathname });
  useGlobalKeys(path);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whoever went somewhere is done with the drawer
  useEffect(() => showOverlay(undefined), [path]);
  const close = useCallback(() => showOverlay(undefined), []);
  return (
    <div className="flex h-dvh bg-canvas">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:fixed focus:start-3 focus:top-3 focus:z-50 focus:rounded-lg focus:bg-accent focus:px-3 focus:py-2 focus:text-accent-ink"
      >
        Skip to content
      </a>
      <nav aria-label="Sessions" className="hidden w-68 shrink-0 flex-col border-e bg-sunken lg:flex">
        <Sidebar />
      </nav>
      <main id="main" tabIndex={-1} className="flex min-w-0 flex-1 flex-col outline-none">
        <Outlet />
      </main>
      {overlay === "sessions" && <SessionsDrawer onClose={close} />}
      {overlay === "help" && <HelpDialog onClose={close} />}
      {overlay === "palette" && <CommandPalette onClose={close} />}
    </div>
  );
}

function useGlobalKeys(path: string): void {
  const navigate = useNavigate();
  const goSince = useRef(0);
  useKeys(
    useCallback(
      (event) => {
        const mod = event.metaKey || event.ctrlKey;
        if (mod && !event.shiftKey && event.key.toLowerCase() === "k") {
          showOverlay("palette");
          return true;
        }
        if (mod && event.shiftKey && event.key.toLowerCase() === "o") {
          void navigate({ to: "/" });
          return true;
        }
        if (mod || event.altKey || isTyping(event.target) || layerIsOpen()) return false;
        if (event.key === "?") {
          showOverlay("help");
          return true;
        }
        if (event.key === "/") return focusOn("[data-testid=composer]");
        if (event.key === "g") {
          goSince.current = event.timeStamp;
          return true;
        }
        if (event.timeStamp - goSince.current > SEQUENCE_MS) return false;
        goSince.current = 0;
        const sessionId = /^\/s\/([^/]+)/.exec(path)?.[1];
        if (event.key === "h") void navigate({ to: "/hosts" });
        else if (event.key === "i") void navigate({ to: "/inbox" });
        else if (event.key === "s") void navigate({ to: "/" });
        else if (event.key === "f" && sessionId) void navigate({ to: "/s/$sessionId/files", params: { sessionId } });
        else if (event.key === "c" && sessionId) void navigate({ to: "/s/$sessionId/changes", params: { sessionId } });
        else return false;
        return true;
      },
      [navigate, path],
    ),
  );
}
