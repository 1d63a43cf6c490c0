/** One measured figure, as `--json` writes it and as the table shows it. */
import { rounded } from "./statistics.ts";

export type Result = {
  name: string;
  unit: string;
  value: number;
  /** The same measured of the floor in the same run. */
  floor?: number;
  /** value ÷ floor */
  ratio?: number;
  /** What has to hold, in words. */
  bar?: string;
  ok?: boolean;
  /** How many single measurements are behind `value`. */
  trials: number;
  /** Events that were lost, repeated or out of order while this was measured. */
  violations?: number;
  how: string;
};

type Measured = Pick<Result, "name" | "unit" | "value" | "trials" | "how"> &
  Partial<Pick<Result, "floor" | "violations">>;
type Bar = {
  ratioAtMost?: number;
  atMost?: number;
  atLeast?: number;
  /** In the unit of the value. */
  overFloorAtMost?: number;
  /** Nothing else is asked. */
  noViolations?: true;
};

/** Judges what was measured: every given bar has to hold, and nothing may have been lost. */
export function judged(measured: Measured, bar: Bar = {}): Result {
  const { value, floor, violations } = measured;
  const ratio = floor === undefined ? undefined : value / floor;
  const { ratioAtMost, atMost, atLeast, overFloorAtMost, noViolations } = bar;
  const words = [
    ratioAtMost === undefined ? [] : [`ratio <= ${ratioAtMost}`],
    atMost === undefined ? [] : [`<= ${atMost} ${measured.unit}`],
    atLeast === undefined ? [] : [`>= ${atLeast} ${measured.unit}`],
    overFloorAtMost === undefined ? [] : [`<= floor + ${overFloorAtMost} ${measured.unit}`],
    noViolations ? ["0 violations"] : [],
  ].flat();
  const holds =
    (ratioAtMost === undefined || (ratio ?? Number.POSITIVE_INFINITY) <= ratioAtMost) &&
    (atMost === undefined || value <= atMost) &&
    (atLeast === undefined || value >= atLeast) &&
    (overFloorAtMost === undefined || value <= (floor ?? Number.NEGATIVE_INFINITY) + overFloorAtMost) &&
    (violations ?? 0) === 0;
  return {
    ...measured,
    value: rounded(value),
    ...(floor === undefined ? {} : { floor: rounded(floor), ratio: rounded(ratio ?? 0) }),
    ...(words.length === 0 ? {} : { bar: words.join(" and "), ok: holds }),
    ...(words.length === 0 && violations ? { ok: false } : {}),
  };
}

/** The table for people. */
export function table(results: readonly Result[]): string {
  const head = ["", "value", "floor", "ratio", "bar", "", "trials"];
  const rows = results.map(({ name, unit, value, floor, ratio, bar, ok, trials }) => [
    name,
    `${value} ${unit}`,
    floor === undefined ? "" : String(floor),
    ratio === undefined ? "" : `${ratio}x`,
    bar ?? "",
    ok === undefined ? "" : ok ? "ok" : "MISSED",
    String(trials),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}
