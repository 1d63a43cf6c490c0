import { Download } from "lucide-react";
import type { ReactNode } from "react";
import type { ChangeText, FileChange } from "#protocol/changes.ts";
import { downloadUrl } from "../api.ts";
import { byteSize } from "../format.ts";
import { Notice } from "../ui/notice.tsx";
import { useFileDiff } from "./change-queries.ts";
import { HunkView } from "./hunk-view.tsx";

type Place = { sessionId: string; from?: string | undefined; to?: string | undefined };

/** One change in full. What the list left out for its length is asked for here. */
export function ChangeView({ change, place }: { change: FileChange; place: Place }) {
  const state = change.text?.state;
  const asks = state === "left_out" || state === "too_large";
  const alone = useFileDiff(place, change.path, asks);
  const text = asks ? alone.data?.text : change.text;
  const facts = factsOf(change);
  return (
    <section data-testid="change-view" aria-label={change.path} className="flex min-h-0 flex-1 flex-col">
      <header className="flex items-center gap-2 border-b px-4 py-1.5">
        <h2 className="min-w-0 flex-1 truncate font-mono text-[0.8125rem]" title={change.path}>
          {change.oldPath && <span className="text-ink-soft">{change.oldPath} → </span>}
          {change.path}
        </h2>
        <span className="shrink-0 text-ink-soft text-xs">{sizeOf(change)}</span>
        {change.change !== "removed" && change.kind === "file" && (
          <a
            href={downloadUrl({ sessionId: place.sessionId, snapshotId: place.to, path: change.path })}
            download
            aria-label={`Download ${change.path}`}
            title="Download"
            className="grid size-8 place-items-center rounded-lg text-ink-soft hover:bg-line/60 hover:text-ink pointer-coarse:size-10"
          >
            <Download size={16} />
          </a>
        )}
      </header>
      {facts.length > 0 && <p className="border-b bg-sunken px-4 py-1.5 text-ink-soft text-xs">{facts.join(" · ")}</p>}
      {alone.error && (
        <div className="p-4">
          <Notice tone="bad" title={alone.error.message} />
        </div>
      )}
      {asks && alone.isPending && <Message>Loading…</Message>}
      {text ? <Text text={text} path={change.path} /> : !asks && <Message>{unsaid(change)}</Message>}
    </section>
  );
}

function Text({ text, path }: { text: ChangeText; path: string }) {
  switch (text.state) {
    case "lines":
      return text.hunks.length === 0 ? (
        <Message>The file is empty.</Message>
      ) : (
        <>
          {text.coarse && (
            <p className="border-b px-4 py-1.5 text-ink-soft text-xs">
              These two texts have little in common: everything between the first and the last difference is shown as
              replaced.
            </p>
          )}
          <HunkView hunks={text.hunks} path={path} />
        </>
      );
    case "binary":
      return <Message>This is not text, so there are no lines to compare.</Message>;
    case "too_large":
    case "left_out":
      return <Message>This file is too large to compare here. Download it to look at it.</Message>;
    case "gone":
      return <Message>The content of one of the two snapshots was removed.</Message>;
    default:
      return text satisfies never;
  }
}

function unsaid({ change, kind, targetBefore, targetAfter }: FileChange): string {
  if (targetBefore !== undefined || targetAfter !== undefined)
    return `Link: ${[targetBefore, targetAfter].filter((target) => target !== undefined).join(" → ")}`;
  if (change === "renamed") return "Renamed, with the same content.";
  if (change === "mode") return "Only the permissions changed.";
  return kind === "directory" ? "An empty folder." : "Nothing to show.";
}

function factsOf({ modeBefore, modeAfter, kind, kindBefore }: FileChange): string[] {
  const facts: string[] = [];
  if (kindBefore) facts.push(`was a ${kindBefore}, is a ${kind}`);
  if (modeBefore !== undefined && modeAfter !== undefined)
    facts.push(`permissions ${modeBefore.toString(8)} → ${modeAfter.toString(8)}`);
  return facts;
}

function sizeOf({ sizeBefore, sizeAfter }: FileChange): string {
  if (sizeBefore !== undefined && sizeAfter !== undefined && sizeBefore !== sizeAfter)
    return `${byteSize(sizeBefore)} → ${byteSize(sizeAfter)}`;
  const size = sizeAfter ?? sizeBefore;
  return size === undefined ? "" : byteSize(size);
}

function Message({ children }: { children: ReactNode }) {
  return <p className="m-auto px-6 py-10 text-center text-ink-soft text-sm">{children}</p>;
}
