import { memo } from "react";
import type { RunView } from "#protocol/run-view.ts";
import type { Outcome } from "#protocol/vocabulary.ts";
import { clockTime, duration, elapsed } from "../format.ts";
import { useNow } from "../ui/relative-time.tsx";
import { type DotTone, StatusDot } from "../ui/status-dot.tsx";
import { STATE_TEXT } from "./outcome-texts.ts";

const OUTCOME: Readonly<Record<Outcome, { text: string; tone: DotTone }>> = {
  succeeded: { text: "Succeeded", tone: "good" },
  failed: { text: "Failed", tone: "bad" },
  cancelled: { text: "Stopped", tone: "off" },
  timed_out: { text: "Timed out", tone: "bad" },
};
const SHOWN = 20;

/** The newest runs first. */
export const RunTimeline = memo(function RunTimeline({ runs }: { runs: readonly RunView[] }) {
  if (runs.length === 0) return <p className="text-ink-soft text-sm">No runs yet.</p>;
  return (
    <ol className="flex flex-col gap-2.5">
      {runs
        .slice(-SHOWN)
        .reverse()
        .map((run) => (
          <RunLine key={run.id} run={run} />
        ))}
    </ol>
  );
});

function RunLine({ run }: { run: RunView }) {
  const now = useNow();
  const finished = run.state === "finished";
  const { text, tone } = finished
    ? OUTCOME[run.outcome]
    : { text: run.state === "queued" ? "Queued" : STATE_TEXT[run.state], tone: toneOf(run.state) };
  const from = run.startedAt ?? run.queuedAt;
  const took = finished ? duration(run.finishedAt - from) : elapsed(now - from);
  return (
    <li className="flex items-start gap-2.5 text-sm">
      <StatusDot tone={tone} className="mx-[3px] mt-1.5" />
      <span className="min-w-0 flex-1">
        {text}
        <span className="block text-ink-soft text-xs">
          {clockTime(run.queuedAt)}
          {run.model ? ` · ${run.model}` : ""}
          {run.attempt > 1 ? ` · ${run.attempt} attempts` : ""}
        </span>
      </span>
      <span className="shrink-0 text-ink-soft text-xs tabular-nums leading-5">{took}</span>
    </li>
  );
}

function toneOf(state: Exclude<RunView["state"], "finished">): DotTone {
  if (state === "waiting") return "warn";
  return state === "queued" ? "off" : "busy";
}
