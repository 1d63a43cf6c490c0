import { LoaderCircle, TriangleAlert } from "lucide-react";
import { lazy, Suspense } from "react";
import type { Usage } from "#protocol/events.ts";
import type { RunView } from "#protocol/run-view.ts";
import { dollars, duration, elapsed, shortCount } from "../format.ts";
import { useHostName } from "../hosts/host-queries.ts";
import { Notice } from "../ui/notice.tsx";
import { useNow } from "../ui/relative-time.tsx";
import { OUTCOME_TEXT, REASON_TEXT, STATE_TEXT } from "./outcome-texts.ts";

/** On its own: the conversation does not wait for it. */
const RunChanges = lazy(async () => ({ default: (await import("../changes/run-changes.tsx")).RunChanges }));

type Finished = Extract<RunView, { state: "finished" }>;

/** Under a turn: what the run is doing, or how it ended. */
export function RunFooter({ run }: { run: RunView }) {
  return (
    <>
      {run.warnings?.map((warning) => (
        <p key={warning} data-testid="run-warning" className="mb-1 flex items-start gap-2 text-sm text-warn">
          <TriangleAlert size={15} className="mt-0.5 shrink-0" aria-hidden />
          <span>{warning}</span>
        </p>
      ))}
      {run.state === "finished" ? <Ended run={run} /> : <Progress run={run} />}
    </>
  );
}

function Progress({ run }: { run: Exclude<RunView, Finished> }) {
  const now = useNow();
  const host = useHostName("hostId" in run ? run.hostId : undefined);
  const where = host && (run.state === "assigned" || run.state === "preparing") ? ` on ${host}` : "";
  const since = run.startedAt ?? run.queuedAt;
  return (
    <p className="flex items-center gap-2 text-ink-soft text-sm">
      {run.state !== "waiting" && <LoaderCircle size={15} className="animate-spin text-accent" aria-hidden />}
      <span>
        {STATE_TEXT[run.state]}
        {where}
        {run.detail ? `: ${run.detail}` : ""}
      </span>
      <span className="tabular-nums">{elapsed(now - since)}</span>
      {run.attempt > 1 && <span>attempt {run.attempt}</span>}
    </p>
  );
}

function Ended({ run }: { run: Finished }) {
  const took = `${OUTCOME_TEXT[run.outcome]} ${duration(run.finishedAt - (run.startedAt ?? run.queuedAt))}`;
  const reason = run.reason && run.reason !== "cancelled" ? REASON_TEXT[run.reason] : undefined;
  const changes = run.startedAt !== undefined && (
    <Suspense>
      <RunChanges runId={run.id} />
    </Suspense>
  );
  const line = [took, ...usageWords(run.usage)].join(" · ");
  if (run.outcome === "succeeded" || (run.outcome === "cancelled" && !reason)) {
    return (
      <p data-testid="run-footer" data-outcome={run.outcome} className="text-ink-soft text-sm">
        {line}
        {changes}
      </p>
    );
  }
  return (
    <div data-testid="run-footer" data-outcome={run.outcome}>
      <Notice tone="bad" title={reason?.what ?? "The run did not succeed."}>
        {reason?.fix && <p className="mt-0.5">{reason.fix}</p>}
        {run.evidence && (
          <pre className="mt-2 max-h-48 overflow-auto whitespace-pre-wrap break-words rounded-lg bg-surface px-3 py-2 font-mono text-xs">
            {run.evidence}
          </pre>
        )}
        <p className="mt-2 text-ink-soft text-xs">
          {line}
          {changes}
        </p>
      </Notice>
    </div>
  );
}

export function usageWords(usage: Usage | undefined): string[] {
  if (!usage) return [];
  const words: string[] = [];
  if (usage.inputTokens) words.push(`${shortCount(usage.inputTokens)} in`);
  if (usage.outputTokens) words.push(`${shortCount(usage.outputTokens)} out`);
  if (usage.cacheReadTokens) words.push(`${shortCount(usage.cacheReadTokens)} cached`);
  if (usage.costUsd) words.push(dollars(usage.costUsd));
  return words;
}
