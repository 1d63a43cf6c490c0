import type { RunQueueReport } from "#protocol/http.ts";
import { duration, fullTime, plural } from "../format.ts";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { DeadLetters } from "./dead-letters.tsx";
import { useHostName, useRunQueue } from "./host-queries.ts";
import { SessionLink } from "./session-link.tsx";

/** The queue as its operators see it: what waits and why, who has which session, what failed for good. */
export function RunQueue() {
  const { data: queue } = useRunQueue();
  if (!queue) return null;
  return (
    <>
      <Waiting queue={queue} />
      <Leases leases={queue.leases} />
      <DeadLetters letters={queue.deadLetters} />
    </>
  );
}

function Waiting({ queue: { entries, depth, oldestWaitMs } }: { queue: RunQueueReport }) {
  return (
    <section aria-label="Waiting runs">
      <h2 className="mb-2 font-semibold">Waiting runs</h2>
      {depth === 0 ? (
        <p className="text-ink-soft text-sm">Nothing waits for a host.</p>
      ) : (
        <>
          <p className="mb-2 text-ink-soft text-sm" data-testid="queue-depth">
            {plural(depth, "run")}; the oldest has waited for {duration(oldestWaitMs)}.
          </p>
          <ol className="divide-y rounded-2xl border bg-surface">
            {entries.map((entry) => (
              <li key={entry.runId} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
                <span className="w-6 text-ink-soft tabular-nums">{entry.position}</span>
                <SessionLink sessionId={entry.sessionId}>{PROVIDER_NAME[entry.provider]}</SessionLink>
                {entry.priority !== 0 && <span className="text-ink-soft">priority {entry.priority}</span>}
                <span className="min-w-0 flex-1 basis-48 text-ink-soft">
                  {entry.nextAttemptAt === undefined
                    ? (entry.waitingFor ?? "waiting for its turn")
                    : `Tried again ${fullTime(entry.nextAttemptAt)}`}
                </span>
                <span className="text-ink-soft">
                  since <RelativeTime at={entry.enqueuedAt} />
                </span>
              </li>
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Leases({ leases }: { leases: RunQueueReport["leases"] }) {
  if (leases.length === 0) return null;
  return (
    <section aria-label="Leases">
      <h2 className="mb-2 font-semibold">Leases</h2>
      <ul className="divide-y rounded-2xl border bg-surface">
        {leases.map((lease) => (
          <li key={lease.sessionId} className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-4 py-2.5 text-sm">
            <SessionLink sessionId={lease.sessionId}>Session</SessionLink>
            <span className="min-w-0 flex-1 truncate">
              <HostName hostId={lease.hostId} />
            </span>
            <span className="text-ink-soft tabular-nums">
              {lease.state === "offered" ? "offered" : "held"} for {duration(lease.ageMs)} · epoch {lease.epoch}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function HostName({ hostId }: { hostId: string }) {
  return <>{useHostName(hostId)}</>;
}
