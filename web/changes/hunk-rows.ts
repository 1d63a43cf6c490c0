/** A hunk's lines with the numbers they have in the old and in the new text. */
import type { Hunk } from "#protocol/changes.ts";

export type Row =
  | { kind: "same"; text: string; old: number; now: number }
  | { kind: "removed"; text: string; old: number }
  | { kind: "added"; text: string; now: number }
  /** Between two hunks, or a remark about the line above. */
  | { kind: "note"; text: string };

export function rowsOf(hunks: readonly Hunk[]): Row[] {
  return hunks.flatMap((hunk, index) => {
    const { oldStart, oldLines, newStart, newLines } = hunk;
    const head = `@@ −${oldStart},${oldLines} +${newStart},${newLines} @@`;
    // A change at the very start needs no headline.
    const first = index === 0 && oldStart <= 1 && newStart <= 1;
    return [...(first ? [] : [{ kind: "note" as const, text: head }]), ...linesOf(hunk)];
  });
}

function linesOf({ oldStart, newStart, lines }: Hunk): Row[] {
  let [old, now] = [oldStart, newStart];
  return lines.map((line): Row => {
    const text = line.slice(1);
    if (line.startsWith("+")) return { kind: "added", text, now: now++ };
    if (line.startsWith("-")) return { kind: "removed", text, old: old++ };
    if (line.startsWith("\\")) return { kind: "note", text: text.trim() };
    return { kind: "same", text, old: old++, now: now++ };
  });
}
