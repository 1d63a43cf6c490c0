import { Link } from "@tanstack/react-router";
import { GitCompareArrows } from "lucide-react";
import type { SnapshotRecord } from "#protocol/changes.ts";
import type { Message } from "#protocol/transcript.ts";
import { fullTime } from "../format.ts";
import { cx } from "../ui/cx.ts";
import { RelativeTime } from "../ui/relative-time.tsx";
import { SnapshotsButton } from "./snapshots-button.tsx";

type Props = {
  sessionId: string;
  snapshots: readonly SnapshotRecord[];
  messages: readonly Message[];
  shown: string | undefined;
  newest: boolean;
};

/** Above the files: from when they are. Older ones stand out, so that nobody takes them for today's. */
export function SnapshotBar({ sessionId, snapshots, messages, shown, newest }: Props) {
  const record = snapshots.find(({ id }) => id === shown);
  const link =
    "inline-flex h-7 items-center gap-1.5 rounded-lg px-2.5 font-medium text-[0.8125rem] hover:bg-line/60 pointer-coarse:h-10";
  return (
    <div
      data-testid="snapshot-bar"
      className={cx(
        "flex flex-wrap items-center gap-x-2 gap-y-1 border-b px-3 py-1 sm:px-5",
        !newest && "bg-warn-wash",
      )}
    >
      <p className={cx("min-w-0 flex-1 truncate text-sm", !newest && "max-sm:basis-full")}>
        {newest ? "The newest files" : "Earlier files"}
        {record && (
          <span className="text-ink-soft">
            {newest ? ", saved " : ", as of "}
            {newest ? <RelativeTime at={record.createdAt} /> : fullTime(record.createdAt)}
          </span>
        )}
      </p>
      {!newest && record?.prunedAt === undefined && (
        <Link to="/s/$sessionId/changes" params={{ sessionId }} search={{ from: shown ?? "", to: "" }} className={link}>
          <GitCompareArrows size={15} aria-hidden /> Compare with now
        </Link>
      )}
      {!newest && (
        <Link to="/s/$sessionId/files" params={{ sessionId }} className={link}>
          Newest files
        </Link>
      )}
      <SnapshotsButton {...{ sessionId, snapshots, messages, shown }} />
    </div>
  );
}
