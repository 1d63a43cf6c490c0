/** The outcomes as the table shows them and as `--json` writes them. */
import type { Result } from "../bench/result.ts";
import { quantile, rounded } from "../bench/statistics.ts";
import type { Outcome } from "./fault.ts";

export const holds = (outcome: Outcome): boolean => outcome.violations.length === 0 && inTime(outcome);

function inTime({ fault, recoveriesMs }: Outcome): boolean {
  const { recoverWithinMs } = fault;
  return recoverWithinMs === undefined || recoveriesMs.every((each) => each <= recoverWithinMs);
}

/** A fault without a recovery is one entry that counts violations; one with a recovery is an entry for p50 and one for p95. */
export function results(outcomes: readonly Outcome[]): Result[] {
  return outcomes.flatMap((outcome) => {
    const { fault, trials, violations, recoveriesMs, seed, note } = outcome;
    const shared = {
      trials,
      violations: violations.length,
      bar: bar(outcome),
      ok: holds(outcome),
      how: [fault.how, note, `seed ${seed}`].filter(Boolean).join("; "),
    };
    if (recoveriesMs.length === 0)
      return [{ name: fault.name, unit: "violations", value: violations.length, ...shared }];
    return [0.5, 0.95].map((share) => ({
      name: `${fault.name}, recovery p${share * 100}`,
      unit: "ms",
      value: rounded(quantile(recoveriesMs, share)),
      ...shared,
    }));
  });
}

function bar({ fault: { recoverWithinMs } }: Outcome): string {
  return recoverWithinMs === undefined ? "0 violations" : `0 violations and recovery <= ${recoverWithinMs} ms`;
}

/** The table for people. */
export function table(outcomes: readonly Outcome[]): string {
  const head = ["fault", "trials", "violations", "recovery p50", "p95", "max", "", ""];
  const rows = outcomes.map((outcome) => {
    const { fault, trials, violations, recoveriesMs, note } = outcome;
    const ms = (share: number) => (recoveriesMs.length === 0 ? "" : `${rounded(quantile(recoveriesMs, share))} ms`);
    return [
      fault.name,
      String(trials),
      String(violations.length),
      ms(0.5),
      ms(0.95),
      ms(1),
      holds(outcome) ? "ok" : "BROKEN",
      note,
    ];
  });
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
