import { Link } from "@tanstack/react-router";
import { Archive } from "lucide-react";
import { fullTime } from "../format.ts";
import { EmptyState } from "../ui/empty-state.tsx";

type Props = { sessionId: string; title?: string; prunedAt?: number | undefined };

/** Instead of a snapshot that was given up: a fact about it, no failure. */
export function SnapshotGone({ sessionId, title = "This snapshot is no longer kept", prunedAt }: Props) {
  return (
    <EmptyState icon={<Archive size={20} />} title={title}>
      <p data-testid="snapshot-gone">
        {prunedAt === undefined ? "It was given up." : `It was given up on ${fullTime(prunedAt)}.`} A session keeps its
        newest three snapshots, those of the last day, and those that are pinned.
      </p>
      <Link
        to="/s/$sessionId/files"
        params={{ sessionId }}
        className="mt-4 inline-flex h-9 items-center rounded-lg border border-line-strong px-3.5 font-medium text-ink text-sm hover:bg-sunken pointer-coarse:h-11"
      >
        Look at the newest files
      </Link>
    </EmptyState>
  );
}

/** When the API said that a snapshot is gone, and not that something failed. */
export const isGone = (error: unknown): boolean => {
  const reason = (error as { reason?: string } | null)?.reason;
  return reason === "snapshot_pruned" || reason === "gone";
};
