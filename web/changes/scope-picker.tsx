import type { ReactNode } from "react";
import type { SnapshotRecord } from "#protocol/changes.ts";
import { fullTime } from "../format.ts";
import { cx } from "../ui/cx.ts";
import type { Scope, ScopeSearch } from "./scope.ts";

type Props = {
  scope: Scope;
  snapshots: readonly SnapshotRecord[];
  onPick: (search: ScopeSearch) => void;
  /** At the end of the bar. */
  children?: ReactNode;
};

/** The last run, the whole session, or any two snapshots. */
export function ScopePicker({ scope, snapshots, onPick, children }: Props) {
  const between = scope.kind === "between";
  return (
    <div className="flex flex-wrap items-center gap-x-3 gap-y-2 border-b px-3 py-2 sm:px-5">
      <fieldset className="flex rounded-lg bg-sunken p-0.5">
        <legend className="sr-only">Changes of</legend>
        <Choice on={scope.kind === "run"} onClick={() => onPick({})}>
          Run
        </Choice>
        <Choice on={scope.kind === "all"} onClick={() => onPick({ scope: "all" })}>
          Session
        </Choice>
        <Choice on={between} onClick={() => onPick({ from: scope.from ?? "", to: scope.to ?? snapshots[0]?.id ?? "" })}>
          Two snapshots
        </Choice>
      </fieldset>
      {between && (
        <div className="flex min-w-0 flex-wrap items-center gap-2 text-sm">
          <Pick
            label="From"
            value={scope.from ?? ""}
            snapshots={snapshots}
            start
            onChange={(from) => onPick({ from, to: scope.to ?? "" })}
          />
          <span aria-hidden>→</span>
          <Pick
            label="To"
            value={scope.to ?? ""}
            snapshots={snapshots}
            onChange={(to) => onPick({ from: scope.from ?? "", to })}
          />
        </div>
      )}
      <span className="ms-auto">{children}</span>
    </div>
  );
}

function Choice({ on, onClick, children }: { on: boolean; onClick: () => void; children: string }) {
  return (
    <button
      type="button"
      aria-pressed={on}
      onClick={onClick}
      className={cx(
        "h-7 rounded-md px-2.5 text-[0.8125rem] pointer-coarse:h-10",
        on ? "bg-surface font-medium shadow-sm" : "text-ink-soft hover:text-ink",
      )}
    >
      {children}
    </button>
  );
}

function Pick(props: {
  label: string;
  value: string;
  snapshots: readonly SnapshotRecord[];
  start?: boolean;
  onChange: (id: string) => void;
}) {
  const { label, value, snapshots, start, onChange } = props;
  const known = value === "" || snapshots.some((snapshot) => snapshot.id === value);
  return (
    <select
      aria-label={label}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      className="h-8 min-w-0 max-w-64 rounded-lg border border-line-strong bg-surface px-2 text-[0.8125rem] pointer-coarse:h-10"
    >
      {start && <option value="">The start</option>}
      {!known && <option value={value}>{value.slice(0, 12)}</option>}
      {snapshots.map((snapshot, index) => (
        <option
          key={snapshot.id}
          value={snapshot.id}
          disabled={snapshot.prunedAt !== undefined && snapshot.id !== value}
        >
          {fullTime(snapshot.createdAt)}
          {index === 0 ? " (newest)" : ""} ·{" "}
          {snapshot.prunedAt === undefined ? snapshot.id.slice(0, 7) : "no longer kept"}
        </option>
      ))}
    </select>
  );
}
