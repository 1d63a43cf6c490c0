import { cx } from "../ui/cx.ts";
import { ScrollPre } from "../ui/scroll-pre.tsx";
import type { FileDiff } from "./edit-diff.ts";
import type { DiffLine } from "./line-diff.ts";

const LOOK: Readonly<Record<DiffLine["kind"], string>> = {
  same: "",
  added: "bg-good-wash",
  removed: "bg-bad-wash",
  gap: "text-ink-soft bg-sunken",
};
const SIGN: Readonly<Record<DiffLine["kind"], string>> = { same: " ", added: "+", removed: "−", gap: " " };

/** One file's change, unified: the sign says it, the colour repeats it. */
export function DiffView({ diff, className }: { diff: FileDiff; className?: string }) {
  const added = diff.lines.filter((line) => line.kind === "added").length;
  const removed = diff.lines.filter((line) => line.kind === "removed").length;
  return (
    <figure className="overflow-hidden rounded-lg border border-line">
      <figcaption className="flex items-center justify-between gap-3 border-b bg-sunken px-3 py-1.5 font-mono text-xs">
        <span className="min-w-0 break-all">{diff.path || "change"}</span>
        <span className="shrink-0">
          <span className="text-good">+{added}</span> <span className="text-bad">−{removed}</span>
        </span>
      </figcaption>
      <ScrollPre className={cx("max-h-80 overflow-auto font-mono text-[0.8125rem] leading-[1.55]", className)}>
        <code className="block min-w-max">
          {diff.lines.map((line, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
            <span key={index} className={cx("block px-3", LOOK[line.kind])}>
              <span className="me-2 select-none text-ink-soft">{SIGN[line.kind]}</span>
              {line.text}
            </span>
          ))}
        </code>
      </ScrollPre>
    </figure>
  );
}

export function DiffList({ diffs, className }: { diffs: readonly FileDiff[]; className?: string }) {
  // biome-ignore lint/suspicious/noArrayIndexKey: the same file may change twice; the list does not
  return diffs.map((diff, index) => <DiffView key={index} diff={diff} className={className} />);
}
