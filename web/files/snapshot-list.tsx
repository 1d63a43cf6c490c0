/** A session's snapshots, newest first: what each was, and what can be done with it. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Ellipsis, GitCompareArrows, GitFork, Pin } from "lucide-react";
import type { SnapshotRecord } from "#protocol/changes.ts";
import type { Message } from "#protocol/transcript.ts";
import { api } from "../api.ts";
import { byteSize, fullTime, plural } from "../format.ts";
import { IconButton } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { Menu, MenuItem } from "../ui/menu.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { toastError } from "../ui/toast.tsx";
import { useFork } from "./use-fork.ts";

type Props = {
  sessionId: string;
  snapshots: readonly SnapshotRecord[];
  messages: readonly Message[];
  shown: string | undefined;
  /** Called when the reader goes to look at something. */
  onLeave: () => void;
};

export function SnapshotList({ sessionId, snapshots, messages, shown, onLeave }: Props) {
  const { busy, fork } = useFork(sessionId);
  return (
    <ol data-testid="snapshot-list" aria-label="Snapshots" className="-mx-2 flex flex-col gap-0.5">
      {snapshots.map((snapshot, index) => (
        <Row
          key={snapshot.id}
          {...{ sessionId, snapshot, onLeave, busy }}
          newest={index === 0}
          current={snapshot.id === shown}
          prompt={messages.find(({ role, runId }) => role === "user" && runId === snapshot.runId)}
          fork={() => void fork(snapshot.id).then(onLeave)}
        />
      ))}
    </ol>
  );
}

type RowProps = {
  sessionId: string;
  snapshot: SnapshotRecord;
  newest: boolean;
  current: boolean;
  prompt: Message | undefined;
  busy: boolean;
  fork: () => void;
  onLeave: () => void;
};

function Row({ sessionId, snapshot, newest, current, prompt, busy, fork, onLeave }: RowProps) {
  const gone = snapshot.prunedAt !== undefined;
  const words = (
    <>
      <span className="flex flex-wrap items-center gap-x-2 gap-y-0.5">
        <span className="font-medium">{fullTime(snapshot.createdAt)}</span>
        <RelativeTime at={snapshot.createdAt} className="text-ink-soft text-xs" />
        {newest && <Badge>Newest</Badge>}
        {snapshot.pinnedBy && !gone && <Badge>Pinned by {snapshot.pinnedBy}</Badge>}
        {gone && <Badge quiet>No longer kept</Badge>}
      </span>
      <span className="block truncate text-ink-soft text-xs">
        {plural(snapshot.files, "file")}, {byteSize(snapshot.bytes)} · {originOf(snapshot, prompt)}
      </span>
    </>
  );
  const row = "block min-w-0 flex-1 rounded-lg px-2 py-2 text-sm -outline-offset-2";
  if (gone)
    return (
      <li data-snapshot={snapshot.id} className="flex opacity-65">
        <span className={row}>{words}</span>
      </li>
    );
  return (
    <li
      data-snapshot={snapshot.id}
      className={cx("flex items-center rounded-lg pe-1 hover:bg-line/40", current && "bg-accent-wash")}
    >
      <Link
        to="/s/$sessionId/files"
        params={{ sessionId }}
        search={newest ? {} : { snapshot: snapshot.id }}
        aria-current={current || undefined}
        title="Look at the files"
        onClick={onLeave}
        className={row}
      >
        {words}
      </Link>
      <PinButton sessionId={sessionId} snapshot={snapshot} />
      <RowMenu {...{ sessionId, snapshot, newest, busy, fork, onLeave }} />
    </li>
  );
}

function RowMenu(props: Pick<RowProps, "sessionId" | "snapshot" | "newest" | "busy" | "fork" | "onLeave">) {
  const { sessionId, snapshot, newest, busy, fork, onLeave } = props;
  const navigate = useNavigate();
  const compare = (): void => {
    onLeave();
    void navigate({ to: "/s/$sessionId/changes", params: { sessionId }, search: { from: snapshot.id, to: "" } });
  };
  const label = `Actions for the snapshot of ${fullTime(snapshot.createdAt)}`;
  return (
    <Menu
      label={label}
      trigger={
        <IconButton label={label} disabled={busy}>
          <Ellipsis size={16} />
        </IconButton>
      }
    >
      {!newest && (
        <MenuItem onSelect={compare}>
          <GitCompareArrows size={15} aria-hidden /> Compare with now
        </MenuItem>
      )}
      <MenuItem onSelect={fork}>
        <GitFork size={15} aria-hidden /> Restore as a new session
      </MenuItem>
    </Menu>
  );
}

function PinButton({ sessionId, snapshot }: { sessionId: string; snapshot: SnapshotRecord }) {
  const queries = useQueryClient();
  const pinned = snapshot.pinnedBy !== undefined;
  const change = useMutation({
    mutationFn: () => (pinned ? api.unpinSnapshot(snapshot.id) : api.pinSnapshot(snapshot.id)),
    onError: toastError,
    // Also after a refusal: the list then says why.
    onSettled: () => queries.invalidateQueries({ queryKey: ["snapshots", sessionId] }),
  });
  return (
    <IconButton
      label={pinned ? "Unpin: let it go when its time comes" : "Pin: keep it whatever its age"}
      aria-pressed={pinned}
      aria-busy={change.isPending}
      onClick={() => change.isPending || change.mutate()}
    >
      <Pin size={15} className={cx(pinned && "fill-current text-accent")} />
    </IconButton>
  );
}

function Badge({ children, quiet = false }: { children: React.ReactNode; quiet?: boolean }) {
  return (
    <span className={cx("rounded-full px-2 py-0.5 text-xs", quiet ? "bg-sunken" : "bg-accent-wash text-accent")}>
      {children}
    </span>
  );
}

/** What was said long ago may have left the page; its run is still known to have been one. */
function originOf(snapshot: SnapshotRecord, prompt: Message | undefined): string {
  const words = prompt?.parts.map((part) => (part.type === "text" ? part.text : "")).join(" ");
  if (words) return `after “${words.replace(/\s+/g, " ").slice(0, 80)}”`;
  return snapshot.runId === undefined ? "before the first run" : "after an earlier run";
}
