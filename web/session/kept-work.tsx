/** Work that hosts have which lost the session: where it lies, or the snapshot that it has become. */
import { Link } from "@tanstack/react-router";
import type { HostRecord } from "#protocol/http.ts";
import type { KeptWork as Kept } from "#protocol/workspace-view.ts";
import { keptText } from "./kept-text.ts";

type Props = { sessionId: string; kept: readonly Kept[]; hosts: readonly HostRecord[] | undefined };

export function KeptWork({ sessionId, kept, hosts }: Props) {
  return kept.map((entry) => {
    // Until the hosts are known, nothing is said of them.
    const said =
      hosts &&
      keptText(
        entry,
        hosts.find(({ id }) => id === entry.hostId),
      );
    if (said === undefined) return null;
    return (
      <p
        key={entry.epoch}
        role="status"
        data-testid="kept-work"
        className={said.warn ? "rounded-lg bg-warn-wash px-3 py-2 text-sm" : "text-ink-soft text-xs"}
      >
        {said.text}{" "}
        {said.snapshotId && (
          <Link
            to="/s/$sessionId/files"
            params={{ sessionId }}
            search={{ snapshot: said.snapshotId }}
            className="underline underline-offset-2"
          >
            Look at it
          </Link>
        )}
      </p>
    );
  });
}
