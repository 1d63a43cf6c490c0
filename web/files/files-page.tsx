import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { ChevronLeft, Download, FolderOpen } from "lucide-react";
import { downloadUrl } from "../api.ts";
import { useSnapshots } from "../changes/change-queries.ts";
import { SessionHeader } from "../session/session-header.tsx";
import { useSession } from "../session/use-session.ts";
import { Button } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { EmptyState } from "../ui/empty-state.tsx";
import { Notice } from "../ui/notice.tsx";
import { FilePreview } from "./file-preview.tsx";
import { useFolder } from "./file-queries.ts";
import { FileTree } from "./file-tree.tsx";
import { ForkButton } from "./fork-button.tsx";
import { SnapshotBar } from "./snapshot-bar.tsx";
import { isGone, SnapshotGone } from "./snapshot-gone.tsx";

/** A snapshot of the session's workspace, read from the store: no host has to be there. */
export function FilesPage() {
  const { sessionId } = useParams({ from: "/app/s/$sessionId/files" });
  const { path, snapshot } = useSearch({ from: "/app/s/$sessionId/files" });
  const navigate = useNavigate({ from: "/s/$sessionId/files" });
  const { session } = useSession(sessionId);
  const newest = session.view.workspace.snapshotId;
  const snapshots = useSnapshots(sessionId, newest);
  // Without one in the address, a new snapshot shows up by itself as soon as it is saved.
  const place = { sessionId, snapshotId: snapshot ?? newest };
  const record = snapshots.data?.find(({ id }) => id === place.snapshotId);
  const pruned = record?.prunedAt !== undefined;
  const known = snapshot === undefined || snapshots.data !== undefined || snapshots.error !== null;
  const root = useFolder(place, place.snapshotId !== undefined && known && !pruned);
  const open = (next: string | undefined): void => void navigate({ search: { path: next, snapshot } });
  const unsaved = session.loaded && place.snapshotId === undefined;
  const gone = pruned || isGone(root.error);
  const empty = unsaved || root.data?.entries.length === 0;
  return (
    <>
      <SessionHeader session={session} />
      {newest !== undefined && (
        <SnapshotBar
          sessionId={sessionId}
          snapshots={snapshots.data ?? []}
          messages={session.transcript.messages}
          shown={place.snapshotId}
          newest={snapshot === undefined || snapshot === newest}
        />
      )}
      {gone && <SnapshotGone sessionId={sessionId} prunedAt={record?.prunedAt} />}
      {root.error && !gone && (
        <div className="p-4">
          <Notice tone="bad" title={root.error.message} />
        </div>
      )}
      {empty && !gone && (
        <EmptyState
          icon={<FolderOpen size={20} />}
          title={place.snapshotId ? "The workspace is empty" : "No snapshot yet"}
        >
          <p>
            {place.snapshotId
              ? "Files appear here when the agent has written some."
              : "Files appear after the first message."}
          </p>
        </EmptyState>
      )}
      {root.data && !empty && !gone && (
        <div className="flex min-h-0 flex-1">
          <div
            className={cx("flex w-full shrink-0 flex-col md:w-72 md:border-e", path !== undefined && "max-md:hidden")}
          >
            <div className="min-h-0 flex-1 overflow-y-auto p-2">
              <FileTree key={snapshot ?? ""} place={place} root={root.data.entries} selected={path} onOpen={open} />
            </div>
            <div className="border-t p-2">
              <a
                data-testid="download-all"
                href={downloadUrl(place)}
                download
                className="flex h-8 items-center gap-2 rounded-lg px-2.5 text-ink-soft text-sm hover:bg-line/60 hover:text-ink pointer-coarse:h-10"
              >
                <Download size={15} aria-hidden /> Download everything as zip
              </a>
              {place.snapshotId && <ForkButton sessionId={sessionId} snapshotId={place.snapshotId} />}
            </div>
          </div>
          <div className={cx("flex min-w-0 flex-1 flex-col", path === undefined && "max-md:hidden")}>
            {path !== undefined && (
              <div className="border-b px-2 py-1.5 md:hidden">
                <Button size="small" look="quiet" onClick={() => open(undefined)}>
                  <ChevronLeft size={15} /> All files
                </Button>
              </div>
            )}
            {path === undefined ? (
              <p className="m-auto text-ink-soft text-sm">Choose a file to look at it.</p>
            ) : (
              <FilePreview key={path} place={{ ...place, path }} />
            )}
          </div>
        </div>
      )}
    </>
  );
}
