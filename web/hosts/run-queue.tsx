import { Link } from "@tanstack/react-router";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { useRunQueue } from "./host-queries.ts";

/** Runs that no host has taken yet, and what each of them waits for. */
export function RunQueue() {
  const { data: entries } = useRunQueue();
  if (!entries) return null;
  return (
    <section aria-label="Waiting runs">
      <h2 className="mb-2 font-semibold">Waiting runs</h2>
      {entries.length === 0 ? (
        <p className="text-ink-soft text-sm">Nothing waits for a host.</p>
      ) : (
        <ol className="divide-y rounded-2xl border bg-surface">
          {entries.map((entry) => (
            <li key={entry.runId} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
              <span className="w-6 text-ink-soft tabular-nums">{entry.position}</span>
              <Link
                to="/s/$sessionId"
                params={{ sessionId: entry.sessionId }}
                className="font-medium text-accent underline-offset-2 hover:underline"
              >
                {PROVIDER_NAME[entry.provider]}
              </Link>
              <span className="min-w-0 flex-1 text-ink-soft">{entry.waitingFor ?? "waiting for its turn"}</span>
              <span className="text-ink-soft">
                since <RelativeTime at={entry.enqueuedAt} />
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
