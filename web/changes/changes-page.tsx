import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronLeft, GitCompareArrows } from "lucide-react";
import { useCallback } from "react";
import type { FileChange } from "#protocol/changes.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { ForkButton } from "../files/fork-button.tsx";
import { isGone, SnapshotGone } from "../files/snapshot-gone.tsx";
import { SnapshotsButton } from "../files/snapshots-button.tsx";
import { fullTime, plural } from "../format.ts";
import { SessionHeader } from "../session/session-header.tsx";
import { useSession } from "../session/use-session.ts";
import { Button } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { isTyping, layerIsOpen, useKeys } from "../ui/shortcuts.ts";
import { ChangeList } from "./change-list.tsx";
import { useDiff, useSnapshots } from "./change-queries.ts";
import { ChangeView } from "./change-view.tsx";
import { type Scope, type ScopeSearch, scopeOf } from "./scope.ts";
import { ScopePicker } from "./scope-picker.tsx";

/** What a run, the session, or the time between two snapshots did to the files; from the store, no host has to be there. */
export function ChangesPage() {
  const { sessionId } = useParams({ from: "/app/s/$sessionId/changes" });
  const { path, ...search } = useSearch({ from: "/app/s/$sessionId/changes" });
  const navigate = useNavigate({ from: "/s/$sessionId/changes" });
  const { session } = useSession(sessionId);
  const newest = session.view.workspace.snapshotId;
  const snapshots = useSnapshots(sessionId, newest);
  const scope = scopeOf(search, snapshots.data ?? [], lastRunOf(session.view));
  const place = { sessionId, from: scope.from, to: scope.to };
  const pruned = scope.prunedAt !== undefined;
  const diff = useDiff(place, { text: true, enabled: snapshots.data !== undefined && !pruned });
  const changes = diff.data?.changes ?? [];
  const shown = changes.find((change) => change.path === path);
  const open = useCallback(
    (next: string | undefined) => void navigate({ search: ({ path: _, ...rest }) => ({ ...rest, path: next }) }),
    [navigate],
  );
  useFileKeys(changes, shown?.path, open);
  const gone = pruned || isGone(diff.error);
  const error = snapshots.error ?? (gone ? null : diff.error);
  const unsaved = session.loaded && newest === undefined;
  const nothing =
    unsaved || (snapshots.data !== undefined && scope.to === undefined) || diff.data?.changes.length === 0;
  return (
    <>
      <SessionHeader session={session} />
      {!unsaved && (
        <ScopePicker
          scope={scope}
          snapshots={snapshots.data ?? []}
          onPick={(picked: ScopeSearch) => void navigate({ search: picked })}
        >
          <SnapshotsButton
            sessionId={sessionId}
            snapshots={snapshots.data ?? []}
            messages={session.transcript.messages}
            shown={scope.to}
          />
        </ScopePicker>
      )}
      {gone && (
        <SnapshotGone
          sessionId={sessionId}
          title="One of the two snapshots is no longer kept"
          prunedAt={scope.prunedAt}
        />
      )}
      {error && (
        <div className="p-4">
          <Notice tone="bad" title={error.message} />
        </div>
      )}
      {!error && !gone && nothing && <NoChanges scope={scope} unsaved={unsaved} />}
      {!error && !gone && !nothing && !diff.data && (
        <p className="breathe m-auto text-ink-soft text-sm" role="status">
          Comparing…
        </p>
      )}
      {changes.length > 0 && !gone && (
        <div className="flex min-h-0 flex-1">
          <div className={cx("flex w-full shrink-0 flex-col md:w-72 md:border-e", shown && "max-md:hidden")}>
            <div className="min-h-0 flex-1 overflow-y-auto p-2">
              <ChangeList changes={changes} selected={shown?.path} onOpen={open} />
            </div>
            <div className="border-t p-2">
              <p data-testid="change-count" className="px-2.5 py-1 text-ink-soft text-sm">
                {summary(diff.data)}
              </p>
              {scope.to && <ForkButton sessionId={sessionId} snapshotId={scope.to} />}
            </div>
          </div>
          <div className={cx("flex min-w-0 flex-1 flex-col", !shown && "max-md:hidden")}>
            <div className="border-b px-2 py-1.5 md:hidden">
              <Button size="small" look="quiet" onClick={() => open(undefined)}>
                <ChevronLeft size={15} /> All changes
              </Button>
            </div>
            {shown ? (
              <ChangeView key={shown.path} change={shown} place={place} />
            ) : (
              <p className="m-auto text-ink-soft text-sm">
                {path === undefined ? "Choose a file to see what changed." : `${path} did not change.`}
              </p>
            )}
          </div>
        </div>
      )}
    </>
  );
}

function NoChanges({ scope, unsaved }: { scope: Scope; unsaved: boolean }) {
  const since = scope.since === undefined ? "the start of the session" : fullTime(scope.since);
  return (
    <EmptyState icon={<GitCompareArrows size={20} />} title={unsaved ? "No snapshot yet" : `No changes since ${since}`}>
      <p>{unsaved ? "Changes appear after the first message." : "Choose another span above to see earlier ones."}</p>
    </EmptyState>
  );
}

/** `[` and `]`: the file before and after the one that is shown; at the ends they stay. */
function useFileKeys(changes: readonly FileChange[], shown: string | undefined, open: (path: string) => void): void {
  useKeys(
    useCallback(
      (event) => {
        const step = event.key === "]" ? 1 : event.key === "[" ? -1 : 0;
        // AltGr, which some keyboards need for a bracket, looks like both.
        const shortcut = event.metaKey || event.ctrlKey !== event.altKey;
        if (step === 0 || shortcut || layerIsOpen() || isTyping(event.target)) return false;
        const at = changes.findIndex((change) => change.path === shown);
        const next = changes[at === -1 ? (step > 0 ? 0 : changes.length - 1) : at + step];
        if (next) open(next.path);
        return true;
      },
      [changes, shown, open],
    ),
  );
}

function lastRunOf({ runs }: SessionView): string | undefined {
  return runs.findLast((run) => run.startedAt !== undefined)?.id;
}

function summary(diff: ReturnType<typeof useDiff>["data"]): string {
  if (!diff) return "";
  const all = Object.values(diff.counts).reduce((sum, each) => sum + each, 0);
  return diff.truncated
    ? `The first ${diff.changes.length} of ${plural(all, "file")} changed`
    : `${plural(all, "file")} changed`;
}
