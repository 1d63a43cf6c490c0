import { useParams } from "@tanstack/react-router";
import { useCallback, useEffect } from "react";
import { activeRun } from "#protocol/session-view.ts";
import { useLiveSummary } from "../sessions/session-queries.ts";
import { Dialog } from "../ui/dialog.tsx";
import { showOverlay, useOverlay } from "../ui/overlay.ts";
import { focusOn, isTyping, layerIsOpen, useKeys } from "../ui/shortcuts.ts";
import { toast } from "../ui/toast.tsx";
import { Composer } from "./composer.tsx";
import { HumanLoop } from "./human-loop.tsx";
import { QueueStack } from "./queue-stack.tsx";
import { ReconnectBanner } from "./reconnect-banner.tsx";
import { SessionHeader } from "./session-header.tsx";
import { SessionRail } from "./session-rail.tsx";
import type { SessionSnapshot, SessionStore } from "./session-store.ts";
import { SessionUnavailable } from "./session-unavailable.tsx";
import { TodoStrip } from "./todo-panel.tsx";
import { TranscriptList } from "./transcript-list.tsx";
import { TranscriptSkeleton, TranscriptStart } from "./transcript-start.tsx";
import { currentRun, turnsOf, waiting } from "./turns.ts";
import { useSession } from "./use-session.ts";

export function SessionPage() {
  const { sessionId } = useParams({ from: "/app/s/$sessionId" });
  const { store, session } = useSession(sessionId);
  const overlay = useOverlay();
  useLiveSummary(session);
  useRefusals(store, session);
  useSessionKeys(store, session);
  const title = session.view.title || "Session";
  useEffect(() => {
    document.title = `${session.view.pending.length > 0 ? "● " : ""}${title} · Gantry`;
    return () => {
      document.title = "Gantry";
    };
  }, [title, session.view.pending.length]);

  if (session.view.deleted) return <SessionUnavailable sessionId={sessionId} deleted />;
  if (!session.loaded && session.link.attempt > 1)
    return <SessionUnavailable sessionId={sessionId} onRetry={store.retryNow} />;
  const queue = waiting(session);
  const turns = turnsOf(session);
  return (
    <>
      <SessionHeader session={session} hasDetails />
      <ReconnectBanner link={session.link} running={activeRun(session.view) !== undefined} onRetry={store.retryNow} />
      <div className="flex min-h-0 flex-1">
        <div className="flex min-w-0 flex-1 flex-col">
          {turns.length > 0 ? (
            <TranscriptList key={sessionId} turns={turns} store={store} />
          ) : session.loaded ? (
            <TranscriptStart onPick={(text) => store.prompt({ text })} />
          ) : (
            <TranscriptSkeleton />
          )}
          <div className="mx-auto flex w-full max-w-3xl flex-col gap-2 px-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] sm:px-6">
            <HumanLoop session={session} store={store} />
            <TodoStrip
              items={activeRun(session.view) ? session.view.todos.items : []}
              onOpen={() => showOverlay("details")}
            />
            <QueueStack items={queue} store={store} />
            <Composer
              key={sessionId}
              store={store}
              provider={session.view.createdAt > 0 ? session.view.provider : undefined}
              runId={currentRun(session.view)?.id}
              stopping={activeRun(session.view)?.state === "cancelling"}
              queued={queue.length}
              disabled={session.view.deleted}
            />
          </div>
        </div>
        <aside aria-label="Session details" className="hidden w-76 shrink-0 overflow-y-auto border-s xl:block">
          <SessionRail session={session} />
        </aside>
      </div>
      {overlay === "details" && (
        <Dialog title="Details" onClose={() => showOverlay(undefined)}>
          <div className="-mx-5">
            <SessionRail session={session} />
          </div>
        </Dialog>
      )}
    </>
  );
}

/** A command that was refused is said once; a prompt keeps its bubble and says it there. */
function useRefusals(store: SessionStore, session: SessionSnapshot): void {
  useEffect(() => {
    for (const item of session.outgoing) {
      if (item.state !== "refused" || item.command.type === "prompt") continue;
      toast(item.message, "bad");
      store.discard(item.command.id);
    }
  }, [store, session.outgoing]);
}

function useSessionKeys(store: SessionStore, session: SessionSnapshot): void {
  const run = currentRun(session.view);
  const stoppable = run?.state === "cancelling" ? undefined : run?.id;
  useKeys(
    useCallback(
      (event) => {
        if (layerIsOpen()) return false;
        if (event.key === "Escape" && stoppable) {
          store.stopRun(stoppable);
          return true;
        }
        if (isTyping(event.target) || event.metaKey || event.ctrlKey || event.altKey) return false;
        if (event.key === "p") return focusOn("[data-testid=permission-card], [data-testid=question-card]");
        return false;
      },
      [store, stoppable],
    ),
  );
}
