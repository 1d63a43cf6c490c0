import { cx } from "./cx.ts";

const COLOUR = {
  good: "bg-good",
  busy: "bg-accent breathe",
  warn: "bg-warn",
  bad: "bg-bad",
  off: "bg-line-strong",
} as const;
export type DotTone = keyof typeof COLOUR;

/** Colour is never the only sign: a word stands next to it, or `label` says it. */
export function StatusDot({ tone, label, className }: { tone: DotTone; label?: string; className?: string }) {
  const named = label
    ? ({ role: "img", "aria-label": label, title: label } as const)
    : ({ "aria-hidden": true } as const);
  return <span {...named} className={cx("inline-block size-2 shrink-0 rounded-full", COLOUR[tone], className)} />;
}
