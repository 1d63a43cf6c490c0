import { ChevronRight, CircleSlash, LoaderCircle, TriangleAlert } from "lucide-react";
import { lazy, memo, Suspense, useState } from "react";
import type { ToolPart } from "#protocol/transcript.ts";
import { cx } from "../ui/cx.ts";
import { ToolIcon } from "./tool-icon.tsx";
import { type ToolOutcome, type ToolSummary, toolSummary } from "./tool-summary.ts";

const ToolDetails = lazy(() => import("./tool-details.tsx").then((module) => ({ default: module.ToolDetails })));

const OUTCOME_LABEL: Readonly<Record<ToolOutcome, string>> = {
  preparing: "preparing",
  running: "running",
  done: "done",
  failed: "failed",
  denied: "not allowed",
};

/** One line; what went wrong is open from the start. */
export const ToolCard = memo(function ToolCard({ part }: { part: ToolPart }) {
  const summary = toolSummary(part);
  const failed = summary.outcome === "failed";
  const [chosen, setChosen] = useState<boolean>();
  const open = chosen ?? failed;
  return (
    <div
      data-testid="tool-card"
      data-outcome={summary.outcome}
      className={cx("rounded-xl border bg-surface", failed ? "border-bad/50" : "border-line")}
    >
      <button
        type="button"
        aria-expanded={open}
        onClick={() => setChosen(!open)}
        className="flex w-full items-center gap-2.5 rounded-xl px-3 py-2 text-start text-sm hover:bg-sunken/60"
      >
        <ToolIcon kind={summary.kind} />
        <span className="min-w-0 flex-1 truncate">
          <span className="text-ink-soft">{summary.verb}</span>{" "}
          <span className="font-mono text-[0.8125rem]">{summary.target}</span>
        </span>
        <Outcome summary={summary} />
        <ChevronRight
          size={15}
          className={cx("shrink-0 text-ink-soft transition-transform", open && "rotate-90")}
          aria-hidden
        />
      </button>
      {open && (
        <Suspense fallback={<div className="h-10" />}>
          <ToolDetails part={part} />
        </Suspense>
      )}
    </div>
  );
});

function Outcome({ summary: { outcome, exitCode } }: { summary: ToolSummary }) {
  const label = OUTCOME_LABEL[outcome];
  if (outcome === "preparing" || outcome === "running") {
    return <LoaderCircle size={15} className="shrink-0 animate-spin text-accent" role="img" aria-label={label} />;
  }
  if (outcome === "failed") {
    return (
      <span className="flex shrink-0 items-center gap-1 rounded-md bg-bad-wash px-1.5 py-0.5 font-medium text-bad text-xs">
        <TriangleAlert size={13} aria-hidden /> {exitCode === undefined ? label : `exit ${exitCode}`}
      </span>
    );
  }
  if (outcome === "denied") {
    return (
      <span className="flex shrink-0 items-center gap-1 text-warn text-xs">
        <CircleSlash size={13} aria-hidden /> {label}
      </span>
    );
  }
  return <span className="sr-only">{label}</span>;
}
