/**
 * `npm run simulate -- --seeds N`: that many worlds, each from its seed, with faults, checked after every happening. A seed
 * that fails is made small and printed with its steps and its trace; `--seed S` runs that one alone.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { planOf } from "./plan.ts";
import { shrink } from "./shrink.ts";
import { type Outcome, STEPS_PER_WORLD, simulate } from "./simulate.ts";

const USAGE =
  "usage: npm run simulate -- [--seeds N] [--seed S] [--steps N] [--json FILE]\n\nExits with 1 when a rule was broken.";
const TRACE_LINES = 120;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      seed: { type: "string" },
      steps: { type: "string", default: String(STEPS_PER_WORLD) },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const steps = Number(values.steps);
  const count = Number(values.seeds);
  if (values.help || !Number.isInteger(steps) || !Number.isInteger(count) || steps < 1 || count < 1) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const seeds =
    values.seed === undefined ? Array.from({ length: count }, (_, index) => String(index + 1)) : [values.seed];
  const began = performance.now();
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const outcome = await simulate(seed, planOf(seed, steps));
    outcomes.push(outcome);
    if (outcome.violations.length > 0 && broken(outcomes).length <= 3) await explain(outcome, steps);
  }
  report(outcomes, steps, performance.now() - began);
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ results: results(outcomes) }, null, 2)}\n`);
  if (broken(outcomes).length > 0) process.exitCode = 1;
}

const broken = (outcomes: readonly Outcome[]): Outcome[] => outcomes.filter(({ violations }) => violations.length > 0);
const sum = (outcomes: readonly Outcome[], of: (outcome: Outcome) => number): number =>
  outcomes.reduce((total, outcome) => total + of(outcome), 0);

async function explain({ seed, violations }: Outcome, length: number): Promise<void> {
  const rule = violations[0]?.rule ?? "";
  const { steps, outcome } = await shrink(seed, planOf(seed, length), rule);
  console.log(`seed ${seed}: [${rule}] ${outcome.violations[0]?.what}`);
  console.log(`steps (${steps.length}): ${JSON.stringify(steps)}`);
  console.log(outcome.trace.slice(-TRACE_LINES).join("\n"));
}

function report(outcomes: readonly Outcome[], steps: number, ms: number): void {
  const hours = sum(outcomes, ({ virtualMs }) => virtualMs) / 3_600_000;
  const happenings = sum(outcomes, (outcome) => outcome.happenings);
  console.log(`seeds       ${outcomes.length} (${steps} steps each)`);
  console.log(`happenings  ${happenings}, each followed by a check`);
  console.log(`time        ${hours.toFixed(0)} simulated hours in ${(ms / 1_000).toFixed(1)} s`);
  console.log("faults");
  for (const [kind, count] of faultsOf(outcomes)) console.log(`  ${String(count).padStart(8)}  ${kind}`);
  console.log(
    `repeated    ${sum(outcomes, ({ repeatedOnWish }) => repeatedOnWish)} runs that had begun, as they had asked with retryOn`,
  );
  console.log(`violations  ${broken(outcomes).length}`);
  for (const { seed, violations } of broken(outcomes))
    console.log(`  seed ${seed}: [${violations[0]?.rule}] ${violations[0]?.what}`);
}

function faultsOf(outcomes: readonly Outcome[]): [string, number][] {
  const total = new Map<string, number>();
  for (const { faults } of outcomes)
    for (const [kind, count] of faults) total.set(kind, (total.get(kind) ?? 0) + count);
  return [...total].sort(([, a], [, b]) => b - a);
}

function results(outcomes: readonly Outcome[]): object[] {
  const violations = broken(outcomes).length;
  const shared = { trials: outcomes.length, violations };
  const happenings = sum(outcomes, (outcome) => outcome.happenings);
  const faults = faultsOf(outcomes).map(([kind, value]) => ({
    name: `fault: ${kind}`,
    unit: "times",
    value,
    trials: outcomes.length,
    how: "injected by the plan of each seed",
  }));
  return [
    {
      name: "simulated worlds",
      unit: "seeds",
      value: outcomes.length,
      bar: "0 violations",
      ok: violations === 0,
      ...shared,
      how: "test/fuzz, virtual time, every invariant after every happening",
    },
    {
      name: "checked happenings",
      unit: "happenings",
      value: happenings,
      ...shared,
      how: "frames, calls, alarms, timers, people's acts and faults",
    },
    ...faults,
  ];
}

await main();
