import { type RefObject, useEffect, useRef } from "react";
import type { Change, FileChange } from "#protocol/changes.ts";
import { cx } from "../ui/cx.ts";

const LETTER: Readonly<Record<Change, { letter: string; says: string; look: string }>> = {
  added: { letter: "A", says: "added", look: "text-good" },
  removed: { letter: "D", says: "removed", look: "text-bad" },
  modified: { letter: "M", says: "changed", look: "text-accent" },
  renamed: { letter: "R", says: "renamed", look: "text-accent" },
  mode: { letter: "P", says: "permissions changed", look: "text-ink-soft" },
};

type Props = { changes: readonly FileChange[]; selected: string | undefined; onOpen: (path: string) => void };

export function ChangeList({ changes, selected, onOpen }: Props) {
  const current = useRef<HTMLButtonElement>(null);
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls when another file is shown
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  return (
    <ul aria-label="Changed files" data-testid="change-list">
      {changes.map((change) => (
        <li key={change.path}>
          <Item
            change={change}
            selected={change.path === selected}
            onOpen={onOpen}
            place={change.path === selected ? current : undefined}
          />
        </li>
      ))}
    </ul>
  );
}

function Item(props: {
  change: FileChange;
  selected: boolean;
  onOpen: (path: string) => void;
  place: RefObject<HTMLButtonElement | null> | undefined;
}) {
  const { change, selected, onOpen, place } = props;
  const { letter, says, look } = LETTER[change.change];
  const slash = change.path.lastIndexOf("/");
  const lines = change.text?.state === "lines" ? change.text : undefined;
  return (
    <button
      ref={place}
      type="button"
      aria-current={selected || undefined}
      title={change.oldPath ? `${change.oldPath} → ${change.path}` : change.path}
      onClick={() => onOpen(change.path)}
      className={cx(
        "flex h-8 w-full items-center gap-2 rounded-lg px-2.5 text-start text-sm -outline-offset-2 hover:bg-line/50 pointer-coarse:h-11",
        selected && "bg-accent-wash hover:bg-accent-wash",
      )}
    >
      <span className={cx("w-3 shrink-0 font-mono text-xs", look)} aria-hidden>
        {letter}
      </span>
      <span className="sr-only">{says}</span>
      <span className={cx("flex min-w-0 flex-1 items-baseline", change.change === "removed" && "line-through")}>
        <span className="min-w-0 truncate text-ink-soft">{change.path.slice(0, slash + 1)}</span>
        <span className="max-w-full shrink-0 truncate">{change.path.slice(slash + 1)}</span>
      </span>
      {lines && (
        <span className="shrink-0 font-mono text-xs tabular-nums">
          {lines.added > 0 && <span className="text-good">+{lines.added}</span>}{" "}
          {lines.removed > 0 && <span className="text-bad">−{lines.removed}</span>}
        </span>
      )}
    </button>
  );
}
