/** `npm run check`: everything that can be said about the code without running it. Each step's output only when it fails. */
import { spawn } from "node:child_process";
import { inRepository, repositoryDir } from "./repository.ts";

type Step = { name: string; args: string[] };

const tsc = inRepository("node_modules", "typescript", "bin", "tsc");
const steps: Step[] = [
  { name: "types: worker and objects", args: [tsc, "-p", "tsconfig.workers.json"] },
  { name: "types: host and tests", args: [tsc, "-p", "tsconfig.node.json"] },
  { name: "types: portal", args: [tsc, "-p", "tsconfig.web.json"] },
  {
    name: "format and lint",
    args: [
      inRepository("node_modules", "@biomejs", "biome", "bin", "biome"),
      "ci",
      "--colors=off",
      "--error-on-warnings",
    ],
  },
  { name: "dead code", args: [inRepository("node_modules", "knip", "bin", "knip.js"), "--no-progress"] },
];

/** Runs every step, two at a time, and gives the names of those that failed. */
export async function check(write: (text: string) => void): Promise<string[]> {
  const failed: string[] = [];
  const waiting = [...steps];
  const lane = async () => {
    for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) {
      const began = performance.now();
      const { code, output } = await run(step);
      write(`${code === 0 ? "ok  " : "FAIL"} ${step.name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`);
      if (code === 0) continue;
      write(output);
      failed.push(step.name);
    }
  };
  await Promise.all([lane(), lane()]);
  return failed;
}

function run({ args }: Step): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: repositoryDir, stdio: ["ignore", "pipe", "pipe"] });
    const output: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => output.push(text));
    child.once("error", (error) => resolve({ code: 1, output: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 1, output: output.join("") }));
  });
}

if (import.meta.main) {
  const failed = await check((text) => process.stdout.write(text));
  process.exitCode = failed.length === 0 ? 0 : 1;
}
