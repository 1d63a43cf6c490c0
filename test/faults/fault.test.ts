/** The runner itself: a fault that breaks something is seen, whatever way it breaks. */
import { expect, test } from "vitest";
import type { Fault } from "./fault.ts";
import { runFault } from "./fault.ts";
import { flaws, numbered } from "./pool.ts";
import { holds, results, table } from "./report.ts";

function fault(trial: (index: number) => { violations: string[]; recoveryMs?: number }): Fault & { opened: number } {
  const made = {
    name: "made-up",
    how: "nothing",
    trials: { long: 4, short: 4 },
    recoverWithinMs: 100,
    opened: 0,
    open: async () => {
      made.opened++;
      return { trial: async (_random: unknown, index: number) => trial(index), dispose: async () => undefined };
    },
  };
  return made;
}
const run = (made: Fault) => runFault(made, { form: "long", seed: "1" });

test("counts trials and violations, and names the trial", async () => {
  const outcome = await run(fault((index) => ({ violations: index === 2 ? ["lost: 7"] : [], recoveryMs: index })));
  expect(outcome).toMatchObject({ trials: 4, violations: ["trial 2: lost: 7"], recoveriesMs: [0, 1, 2, 3] });
  expect(holds(outcome)).toBe(false);
  expect(table([outcome])).toContain("BROKEN");
  expect(results([outcome])).toMatchObject([
    { name: "made-up, recovery p50", value: 1, unit: "ms", trials: 4, violations: 1, ok: false },
    { name: "made-up, recovery p95", value: 3, violations: 1, ok: false },
  ]);
});

test("a trial that throws is a violation, and the next one has a fresh stage", async () => {
  const made = fault((index) => {
    if (index === 1) throw new Error("it hung");
    return { violations: [] };
  });
  const outcome = await run(made);
  expect(outcome.violations).toEqual(["trial 1: it hung"]);
  expect(made.opened).toBe(2);
  expect(results([outcome])).toMatchObject([{ name: "made-up", unit: "violations", value: 1, ok: false }]);
});

test("a recovery that is too slow does not hold", async () => {
  expect(holds(await run(fault(() => ({ violations: [], recoveryMs: 101 }))))).toBe(false);
  expect(holds(await run(fault(() => ({ violations: [], recoveryMs: 100 }))))).toBe(true);
});

test("a log that lost, doubled or swapped something, or ended twice, has flaws", () => {
  const log = (...said: number[]) => {
    const envelope = { v: 1 as const, at: 0, sessionId: "ses_1", runId: "run_1", traceId: "trc_1" };
    const events = said.map((k, index) => ({ ...envelope, ...numbered(k), seq: index + 1 }));
    const end = {
      ...envelope,
      type: "run.finished" as const,
      data: { outcome: "succeeded" as const },
      seq: said.length + 1,
    };
    return [...events, end] as Parameters<typeof flaws>[0];
  };
  expect(flaws(log(1, 2, 3), "run_1", 3)).toEqual([]);
  expect(flaws(log(1, 3), "run_1", 3)).toEqual(["lost: 2 (1 of 3)"]);
  expect(flaws(log(1, 2, 2, 3), "run_1", 3)).toEqual(["doubled: 2 (1)"]);
  expect(flaws(log(1, 3, 2), "run_1", 3)).toEqual(["out of order: 1,3,2"]);
  expect(flaws(log(1, 2).slice(0, -1), "run_1", 2)).toEqual(["0 times run.finished"]);
  expect(
    flaws(
      log(1, 2, 3).filter(({ seq }) => seq !== 2),
      "run_1",
      3,
    ),
  ).toContain("event 3 follows event 1");
});
