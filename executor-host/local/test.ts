/**
 * `npm test`: the checks, then every suite that can run here. A suite that cannot says so in one line; under CI that is a
 * failure, because a suite that silently stays out is worse than a red one. With arguments (`npm test -- test/protocol`):
 * only the test files that match.
 *
 * A file with a failure is run once more, alone. What passes then is not a failure of the program but of the test, which
 * wants mending: it is named as unsteady. What failed is named, with its first words, right above the last line.
 *
 * The last line is `N passed, N failed`, with `, N skipped` and `, N unsteady` where there are any; a failed check counts
 * as one failure.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join, relative } from "node:path";
import { z } from "zod";
import { dockerAvailable, ensureBaseImage } from "../../test/support/docker-image.ts";
import { build } from "./build.ts";
import { check } from "./check.ts";
import { inRepository, repositoryDir } from "./repository.ts";

type Failure = { file: string; test: string; message: string };
type Count = { passed: number; failed: number; skipped: number; files: number; failures: Failure[] };
type Project = "unit" | "docker" | "e2e";

const ci = process.env.CI === "true" || process.env.CI === "1";
const resultSchema = z.object({
  numPassedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number().default(0),
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(""),
      assertionResults: z.array(
        z.object({ status: z.string(), fullName: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
});

async function main(args: string[]): Promise<void> {
  const total: Count = { passed: 0, failed: 0, skipped: 0, files: 0, failures: [] };
  const unsteady: Failure[] = [];
  // Side by side: a bundler leaves a core to the checks.
  const checked = args.length === 0 ? check((text) => process.stdout.write(text)) : [];
  const failedBuilds = await built();
  total.failed += failedBuilds + (await checked).length;
  const missing = await missingNeeds();
  const runnable = (project: Project) => missing[project] === undefined;
  // Side by side: the suites with containers wait a lot, and the unit suite has work for every core.
  const lanes: Project[][] = [["unit"], ["docker", "e2e"]];
  const counts = new Map<Project, Count>();
  const run = async (lane: Project[]) => {
    for (const project of lane.filter(runnable)) counts.set(project, await runProject(project, args));
  };
  await Promise.all(lanes.map(run));
  for (const project of lanes.flat()) {
    const count = counts.get(project);
    if (count !== undefined) {
      for (const key of ["passed", "skipped", "files"] as const) total[key] += count[key];
      const again = await failedAlone(project, count);
      const failing = new Set(again.failures.map(nameOf));
      const passedAlone = count.failures.filter((failure) => !failing.has(nameOf(failure)));
      unsteady.push(...passedAlone);
      total.passed += passedAlone.length;
      total.failed += again.failed;
      total.failures.push(...again.failures);
      if (args.length === 0 && count.files === 0) {
        console.log(`The ${project} suite has no test file.`);
        total.failed++;
      }
    } else if (args.length === 0 || args.some((arg) => !arg.startsWith("-"))) {
      console.log(`not run: the ${project} suite, ${missing[project]}`);
      if (ci) total.failed++;
    }
  }
  if (total.files === 0) {
    console.log("No test file was selected.");
    total.failed++;
  }
  process.exitCode = total.failed === 0 ? 0 : 1;
  for (const failure of unsteady) console.log(`UNSTEADY (passed alone) ${described(failure)}`);
  for (const failure of total.failures) console.log(`FAILED ${described(failure)}`);
  const rest = [
    total.skipped > 0 ? `, ${total.skipped} skipped` : "",
    unsteady.length > 0 ? `, ${unsteady.length} unsteady` : "",
  ];
  console.log(`${total.passed} passed, ${total.failed} failed${rest.join("")}`);
}

const nameOf = ({ file, test }: Failure): string => `${file} > ${test}`;
/** The test, and the first lines of what it said that are about our own code. */
function described(failure: Failure): string {
  const lines = failure.message.split("\n").filter((line) => line.trim() && !line.includes("node_modules"));
  return [nameOf(failure), ...lines.slice(0, 6)].join("\n  ");
}

/** The files that failed, once more and nothing beside them. A run that failed without naming a test stays failed. */
async function failedAlone(project: Project, count: Count): Promise<Pick<Count, "failed" | "failures">> {
  if (count.failed === 0 || count.failures.length < count.failed) return count;
  const files = [...new Set(count.failures.map(({ file }) => file))];
  console.log(`Again, alone: ${files.join(", ")}`);
  return runProject(project, [...files, "--no-file-parallelism"]);
}

/** Once, before test files would build side by side. */
async function built(): Promise<number> {
  try {
    await build({ log: (message) => console.log(message) });
    return 0;
  } catch (error) {
    console.log(`FAIL build\n${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

/** Why a suite cannot run here, in a few words; undefined when it can. */
async function missingNeeds(): Promise<Record<Project, string | undefined>> {
  const docker = await dockerReason();
  return { unit: undefined, docker, e2e: docker ?? chromiumReason() };
}

async function dockerReason(): Promise<string | undefined> {
  const available = await dockerAvailable();
  if (!available.ok) return `no Docker engine answers (${available.reason.split("\n")[0]})`;
  try {
    await ensureBaseImage();
    return undefined;
  } catch (error) {
    return `there is no base image (${error instanceof Error ? error.message.split("\n")[0] : error})`;
  }
}

function chromiumReason(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome"];
  const dirs = (process.env.PATH ?? "").split(delimiter);
  const found =
    process.env.CHROMIUM_PATH ??
    names.flatMap((name) => dirs.map((dir) => join(dir, name))).find((path) => existsSync(path));
  return found !== undefined && existsSync(found)
    ? undefined
    : "Chromium is not installed (set CHROMIUM_PATH to its path if it is)";
}

async function runProject(project: Project, args: string[]): Promise<Count> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-vitest-"));
  const outputFile = join(folder, "result.json");
  const vitest = inRepository("node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${outputFile}`];
  // With arguments a project may have nothing that matches; main() judges that.
  const command = [vitest, "run", `--project=${project}`, "--passWithNoTests", ...reporters, ...args];
  const code = await new Promise<number>((resolve) => {
    // Not a terminal's: two of them would draw over each other's lines.
    const compiled = join(tmpdir(), "gantry-test-compiled");
    const env = { NODE_COMPILE_CACHE: compiled, ...process.env, ...(process.stdout.isTTY && { FORCE_COLOR: "1" }) };
    const child = spawn(process.execPath, command, { cwd: repositoryDir, env, stdio: ["inherit", "pipe", "pipe"] });
    child.stdout.pipe(process.stdout, { end: false });
    child.stderr.pipe(process.stderr, { end: false });
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => child.kill(signal));
    child.once("error", () => resolve(1));
    // `close`, not `exit`: its last lines belong before the verdict.
    child.once("close", (exitCode) => resolve(exitCode ?? 1));
  });
  try {
    return count(existsSync(outputFile) ? readFileSync(outputFile, "utf8") : undefined, code);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Counts tests, and one failure for each file that failed without a failed test, or for a run that failed without either. */
function count(json: string | undefined, exitCode: number): Count {
  if (json === undefined) return { passed: 0, failed: exitCode === 0 ? 0 : 1, skipped: 0, files: 0, failures: [] };
  const result = resultSchema.parse(JSON.parse(json));
  const failures = result.testResults.flatMap(failuresOf);
  const failed = failures.length;
  return {
    passed: result.numPassedTests,
    failed: failed === 0 && exitCode !== 0 ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
    files: result.testResults.length,
    failures,
  };
}

function failuresOf(result: z.infer<typeof resultSchema>["testResults"][number]): Failure[] {
  const file = relative(repositoryDir, result.name);
  const failed = result.assertionResults.filter((test) => test.status === "failed");
  if (failed.length > 0)
    return failed.map((test) => ({ file, test: test.fullName, message: test.failureMessages?.[0] ?? "" }));
  return result.status === "failed" ? [{ file, test: "(the file itself)", message: result.message }] : [];
}

await main(process.argv.slice(2));
