import type { RunQueueReport } from "#protocol/http.ts";
import { plural } from "../format.ts";
import { useMay } from "../sign-in/use-me.ts";
import { Button } from "../ui/button.tsx";
import { PROVIDER_NAME } from "../ui/provider-icon.tsx";
import { RelativeTime } from "../ui/relative-time.tsx";
import { useRedrive } from "./host-queries.ts";
import { SessionLink } from "./session-link.tsx";

type Letter = RunQueueReport["deadLetters"][number];
const CAUSE: Readonly<Record<Letter["reason"], string>> = {
  host_lost: "its host was lost",
  container_failed: "its worker failed",
};

/** Runs that could not be carried to an end, with what is known of why, and the way to try again. */
export function DeadLetters({ letters }: { letters: readonly Letter[] }) {
  if (letters.length === 0) return null;
  return (
    <section aria-label="Dead letters">
      <h2 className="mb-2 font-semibold">Dead letters</h2>
      <ul className="divide-y rounded-2xl border bg-surface">
        {letters.map((letter) => (
          <DeadLetter key={letter.runId} letter={letter} />
        ))}
      </ul>
    </section>
  );
}

function DeadLetter({ letter }: { letter: Letter }) {
  const redrive = useRedrive();
  const mayOperate = useMay("runs.operate");
  const { runId, sessionId, provider, reason, evidence, attempts, begun, failedAt, redrivenAs } = letter;
  return (
    <li data-testid="dead-letter" className="flex flex-col gap-2 px-4 py-3 text-sm sm:flex-row sm:items-start sm:gap-4">
      <div className="min-w-0 flex-1">
        <p className="flex flex-wrap items-baseline gap-x-2">
          <SessionLink sessionId={sessionId}>{PROVIDER_NAME[provider]}</SessionLink>
          <span>{CAUSE[reason]}</span>
          <span className="text-ink-soft">
            after {plural(attempts, "attempt")}, <RelativeTime at={failedAt} />
          </span>
        </p>
        <p className="mt-0.5 break-words text-ink-soft">{evidence}</p>
        {begun && !redrivenAs && (
          <p className="mt-0.5 text-ink-soft">It had begun: look at what it did before you run it again.</p>
        )}
      </div>
      {redrivenAs ? (
        <span className="text-ink-soft">run again</span>
      ) : (
        mayOperate && (
          <Button size="small" disabled={redrive.isPending} onClick={() => redrive.mutate(runId)}>
            Run it again
          </Button>
        )
      )}
    </li>
  );
}
