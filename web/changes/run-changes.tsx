/** Under a run that has ended: how many files it changed, with the way to them. Asked for when it comes into view. */
import { Link, useParams } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { plural } from "../format.ts";
import { useDiff, useNewestSnapshot, useSnapshots } from "./change-queries.ts";
import { scopeOf } from "./scope.ts";

export function RunChanges({ runId }: { runId: string }) {
  const { sessionId = "" } = useParams({ strict: false });
  const place = useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((each) => each.isIntersecting) && setSeen(true),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const snapshots = useSnapshots(sessionId, useNewestSnapshot(sessionId), seen);
  const scope = scopeOf({ run: runId }, snapshots.data ?? []);
  const { data } = useDiff({ sessionId, ...scope }, { text: false, enabled: seen && scope.prunedAt === undefined });
  const files = data ? Object.values(data.counts).reduce((sum, each) => sum + each, 0) : 0;
  return (
    <span ref={place}>
      {files > 0 && (
        <>
          {" · "}
          <Link
            data-testid="run-changes"
            to="/s/$sessionId/changes"
            params={{ sessionId }}
            search={{ run: runId }}
            className="underline decoration-line-strong underline-offset-2 hover:text-ink"
          >
            {plural(files, "file")} changed
          </Link>
        </>
      )}
    </span>
  );
}
