/**
 * The difference of two texts, line by line, as hunks. Myers' greedy algorithm (E. W. Myers, "An O(ND) Difference Algorithm
 * and Its Variations", 1986), with a bound on D instead of a clock: an isolate's clock stands still while it computes.
 */
import type { Hunk } from "#protocol/changes.ts";

export type TextDiff = { hunks: Hunk[]; added: number; removed: number; coarse: boolean };

const CONTEXT = 3;
/** Added and removed lines up to which the shortest difference is looked for; its trace takes D² × 4 bytes. */
const MOST_EDITS = 1_000;
/** About a tenth of a second. */
export const MOST_STEPS = 10_000_000;
export type Effort = { steps: number };
const NO_NEWLINE = "\\ No newline at end of file";

/** Lines `before` from `from` to `to` were replaced by lines `after`; half open, from 0. */
type Edit = { from: number; to: number; newFrom: number; newTo: number };

/**
 * `coarse`: too different; everything between the first and the last difference counts as replaced.
 * @param effort what comparing may still cost, in steps; several diffs may share it
 */
export function textDiff(before: string, after: string, effort: Effort = { steps: MOST_STEPS }): TextDiff {
  const [a, b] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const middle: Edit = { from: head, to: a.length - tail, newFrom: head, newTo: b.length - tail };
  const oneSided = middle.from === middle.to || middle.newFrom === middle.newTo;
  const edits = oneSided ? [middle] : shortestEdits(a, b, middle, effort);
  const shown = (edits ?? [middle]).filter((edit) => edit.from < edit.to || edit.newFrom < edit.newTo);
  return {
    hunks: hunksOf(a, b, shown),
    added: shown.reduce((sum, edit) => sum + edit.newTo - edit.newFrom, 0),
    removed: shown.reduce((sum, edit) => sum + edit.to - edit.from, 0),
    coarse: edits === undefined,
  };
}

/** Each line with its newline, so that a missing one at the end is a difference. */
function linesOf(text: string): string[] {
  const lines = text.split(/(?<=\n)/);
  return lines[0] === "" ? [] : lines;
}

/** Undefined when there are more edits than MOST_EDITS, or finding them takes more than `effort`. */
function shortestEdits(
  before: readonly string[],
  after: readonly string[],
  middle: Edit,
  effort: Effort,
): Edit[] | undefined {
  const { from, newFrom } = middle;
  const numbers = new Map<string, number>();
  const a = numbered(before.slice(from, middle.to), numbers);
  const b = numbered(after.slice(newFrom, middle.newTo), numbers);
  const [n, m] = [a.length, b.length];
  const most = Math.min(n + m, MOST_EDITS);
  // furthest[k + most]: the largest x reached on diagonal k = x - y.
  const furthest = new Int32Array(2 * most + 2);
  const trace: Int32Array[] = [];
  for (let d = 0; d <= most; d++) {
    trace.push(furthest.slice(most - d, most + d + 1));
    if (effort.steps < 0) return undefined;
    for (let k = -d; k <= d; k += 2) {
      const down = k === -d || (k !== d && furthest[most + k - 1]! < furthest[most + k + 1]!);
      let x = down ? furthest[most + k + 1]! : furthest[most + k - 1]! + 1;
      // Before the first edit there is nothing to come from.
      if (d === 0) x = 0;
      const start = x;
      while (x < n && x - k < m && a[x] === b[x - k]) x++;
      effort.steps -= x - start + 1;
      furthest[most + k] = x;
      const y = x - k;
      if (x >= n && y >= m) return backtrack(trace, d, n, m).map((edit) => moved(edit, from, newFrom));
    }
  }
  return undefined;
}

/** The same line always has the same number. */
function numbered(lines: readonly string[], numbers: Map<string, number>): Int32Array {
  return Int32Array.from(lines, (line) => {
    const known = numbers.get(line) ?? numbers.size;
    numbers.set(line, known);
    return known;
  });
}

/** The way back from the end: one step of one line per `d`, gathered into edits. */
function backtrack(trace: readonly Int32Array[], last: number, n: number, m: number): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [n, m];
  for (let d = last; d > 0; d--) {
    // trace[d] is what was known before step d; diagonal k lies at k + d.
    const known = trace[d]!;
    const k = x - y;
    const down = k === -d || (k !== d && known[k - 1 + d]! < known[k + 1 + d]!);
    const fromX = known[(down ? k + 1 : k - 1) + d]!;
    const fromY = fromX - (down ? k + 1 : k - 1);
    const edit: Edit = { from: fromX, to: down ? fromX : fromX + 1, newFrom: fromY, newTo: down ? fromY + 1 : fromY };
    const next = edits.at(-1);
    if (next && next.from === edit.to && next.newFrom === edit.newTo) {
      next.from = edit.from;
      next.newFrom = edit.newFrom;
    } else edits.push(edit);
    [x, y] = [fromX, fromY];
  }
  return edits.reverse();
}

function moved({ from, to, newFrom, newTo }: Edit, by: number, newBy: number): Edit {
  return { from: from + by, to: to + by, newFrom: newFrom + newBy, newTo: newTo + newBy };
}

/** Edits that are close share a hunk with the lines between them. */
function hunksOf(a: readonly string[], b: readonly string[], edits: readonly Edit[]): Hunk[] {
  const hunks: Hunk[] = [];
  for (let at = 0; at < edits.length; ) {
    let end = at + 1;
    while (end < edits.length && edits[end]!.from - edits[end - 1]!.to <= 2 * CONTEXT) end++;
    hunks.push(hunkOf(a, b, edits.slice(at, end)));
    at = end;
  }
  return hunks;
}

function hunkOf(a: readonly string[], b: readonly string[], edits: readonly Edit[]): Hunk {
  const lead = Math.min(CONTEXT, edits[0]!.from);
  const from = edits[0]!.from - lead;
  const newFrom = edits[0]!.newFrom - lead;
  const to = Math.min(edits.at(-1)!.to + CONTEXT, a.length);
  const lines: string[] = [];
  let at = from;
  for (const edit of edits) {
    for (; at < edit.from; at++) put(lines, " ", a[at]!);
    for (; at < edit.to; at++) put(lines, "-", a[at]!);
    for (let i = edit.newFrom; i < edit.newTo; i++) put(lines, "+", b[i]!);
  }
  for (; at < to; at++) put(lines, " ", a[at]!);
  const oldLines = to - from;
  const newLines = oldLines + edits.reduce((sum, e) => sum + (e.newTo - e.newFrom) - (e.to - e.from), 0);
  return {
    oldStart: oldLines === 0 ? from : from + 1,
    oldLines,
    newStart: newLines === 0 ? newFrom : newFrom + 1,
    newLines,
    lines,
  };
}

function put(lines: string[], sign: string, line: string): void {
  if (line.endsWith("\n")) lines.push(sign + line.slice(0, -1));
  else lines.push(sign + line, NO_NEWLINE);
}
