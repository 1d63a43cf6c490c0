/**
 * `npm run faults`: every fault, many times, at points that a seed chooses by log position. The table goes to people,
 * `--json FILE` to whoever wants to check. `npm test` runs the same faults a few times each.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { FAULTS } from "./all.ts";
import { type Outcome, runFault } from "./fault.ts";
import { holds, results, table } from "./report.ts";

const USAGE = `usage: npm run faults -- [--trials N] [--seed S] [--json FILE] [--only NAME]...

${FAULTS.map(({ name, how }) => `  ${name.padEnd(18)} ${how}`).join("\n")}

Exits with 1 when anything was lost, doubled or wrong, or a recovery was too slow.`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      trials: { type: "string" },
      seed: { type: "string", default: "1" },
      json: { type: "string" },
      only: { type: "string", multiple: true, default: [] },
      help: { type: "boolean", default: false },
    },
  });
  const trials = values.trials === undefined ? undefined : Number(values.trials);
  const chosen = FAULTS.filter(({ name }) => values.only.length === 0 || values.only.includes(name));
  const unknown = values.only.filter((name) => !FAULTS.some((fault) => fault.name === name));
  const wrong = unknown.length > 0 || (trials !== undefined && !(Number.isInteger(trials) && trials > 0));
  if (values.help || wrong) {
    console.log(USAGE);
    process.exitCode = values.help ? 0 : 2;
    return;
  }
  const outcomes: Outcome[] = [];
  for (const fault of chosen) {
    console.error(`${fault.name} …`);
    const outcome = await runFault(fault, { form: "long", seed: values.seed, ...(trials && { trials }) });
    outcomes.push(outcome);
    for (const violation of outcome.violations.slice(0, 5)) console.error(`  ${violation}`);
    // Written as it grows: a run that is ended early has said what it found.
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify({ results: results(outcomes) }, null, 2)}\n`);
  }
  console.log(table(outcomes));
  if (!outcomes.every(holds)) process.exitCode = 1;
}

await main();
