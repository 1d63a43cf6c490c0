import { useState } from "react";
import type { Hunk } from "#protocol/changes.ts";
import { count } from "../format.ts";
import { Button } from "../ui/button.tsx";
import { cx } from "../ui/cx.ts";
import { ScrollPre } from "../ui/scroll-pre.tsx";
import { type Row, rowsOf } from "./hunk-rows.ts";

const LOOK: Readonly<Record<Row["kind"], string>> = {
  same: "",
  added: "bg-good-wash",
  removed: "bg-bad-wash",
  note: "bg-sunken text-ink-soft",
};
const SIGN: Readonly<Record<Row["kind"], string>> = { same: " ", added: "+", removed: "−", note: " " };
/** More than this is felt when it is laid out. */
const SHOWN_ROWS = 2_000;

/** One file's change, unified, with the numbers of both sides: the sign says it, the colour repeats it. */
export function HunkView({ hunks, path }: { hunks: readonly Hunk[]; path: string }) {
  const [all, setAll] = useState(false);
  const rows = rowsOf(hunks);
  const shown = all ? rows : rows.slice(0, SHOWN_ROWS);
  return (
    <>
      <ScrollPre
        label={`Changes of ${path}`}
        className="min-h-0 flex-1 overflow-auto py-1 font-mono text-[0.8125rem] leading-[1.55] -outline-offset-2"
      >
        <code className="block min-w-max">
          {shown.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: a line is its place
            <span key={index} data-kind={row.kind} className={cx("flex pe-4", LOOK[row.kind])}>
              <LineNumber value={"old" in row ? row.old : undefined} />
              <LineNumber value={"now" in row ? row.now : undefined} />
              <span className="w-5 shrink-0 select-none text-center text-ink-soft">{SIGN[row.kind]}</span>
              <span className="min-h-[1.55em] whitespace-pre">{row.text}</span>
            </span>
          ))}
        </code>
      </ScrollPre>
      {shown.length < rows.length && (
        <div className="border-t p-2 text-center">
          <Button size="small" onClick={() => setAll(true)}>
            Show {count(rows.length - shown.length)} more lines
          </Button>
        </div>
      )}
    </>
  );
}

function LineNumber({ value }: { value: number | undefined }) {
  return <span className="w-11 shrink-0 select-none pe-1 text-end text-ink-soft/70 tabular-nums">{value}</span>;
}
