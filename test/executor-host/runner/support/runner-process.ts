/** A real runner in its own process, from the real toolkit, with the fake model server where the egress proxy would be. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, onTestFinished } from "vitest";
import { type ModelServer, startModelServer } from "../../../support/model-server/server.ts";
import { ensureToolkit } from "../../../support/toolkit.ts";
import { endProcessesIn } from "./processes.ts";
import { RunnerClient } from "./runner-client.ts";
import { temporaryFolder } from "./temporary.ts";

export type RunnerUnderTest = {
  client: RunnerClient;
  /** The workspace. */
  cwd: string;
  model: ModelServer;
  process: ChildProcess;
  /** Starts another runner in the same place, after this one has gone. */
  again: () => Promise<{ client: RunnerClient; process: ChildProcess }>;
  output: () => string;
};

/** What a failed test is explained by: the runner's output, its spools, what the model was asked. */
async function evidence(spoolDir: string, output: string, model: ModelServer): Promise<string> {
  const spools = (await readdir(spoolDir)).filter((name) => name.endsWith(".jsonl"));
  const texts = await Promise.all(spools.map((name) => readFile(path.join(spoolDir, name), "utf8")));
  const asked = model.requests.map(({ method, url, scenario }) => `${method} ${url} ${scenario}`);
  return [output, ...texts, ...asked].join("\n");
}

/** What the runner gets in its environment and must not hand on. */
const HOST_SECRET = "the-host-has-a-secret";

/** The first test of a machine downloads the CLIs; that has a bound of its own. */
const DOWNLOAD_MS = 10 * 60_000;
beforeAll(() => ensureToolkit(), DOWNLOAD_MS);

/** The ladder of a run that does not stop has 11 s. */
const LEAVE_MS = 15_000;

/** `toolkit`: fills a folder that the runner takes for its toolkit instead of the one with the real CLIs. */
type Options = { toolkit?: (dir: string) => Promise<void> };

/** One for the test that calls, as a process of its own. */
export async function startRunner(options: Options = {}): Promise<RunnerUnderTest> {
  const toolkit = await ensureToolkit();
  const dir = await temporaryFolder();
  const ownToolkit = path.join(dir, "toolkit");
  if (options.toolkit) {
    await mkdir(ownToolkit);
    await options.toolkit(ownToolkit);
  }
  const cwd = path.join(dir, "workspace");
  const home = path.join(dir, "home");
  await mkdir(cwd);
  await mkdir(home);
  const egress = path.join(dir, "proxy.sock");
  const model = await startModelServer({ socketPath: egress });
  onTestFinished(() => model.close());
  onTestFinished(() => endProcessesIn(cwd));
  let output = "";
  const launch = async () => {
    const args = [
      "--socket",
      path.join(dir, "runner.sock"),
      "--spool",
      path.join(dir, "spool"),
      "--egress-socket",
      egress,
      ...(options.toolkit ? ["--toolkit", ownToolkit] : []),
    ];
    const child = spawn(
      path.join(toolkit, "node"),
      [path.join(toolkit, "runner.mjs"), ...args, "--env", "CLAUDE_CODE_MAX_RETRIES=1"],
      {
        cwd,
        env: { PATH: process.env.PATH, HOME: home, HOST_SECRET, ANTHROPIC_AUTH_TOKEN: HOST_SECRET },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    const listening = new Promise<void>((resolve, reject) => {
      child.stdout.on("data", (part: Buffer) => {
        output += part;
        if (output.includes("listening")) resolve();
      });
      child.once("exit", (code) => reject(new Error(`the runner ended with ${code}: ${output}`)));
    });
    child.stderr.on("data", (part: Buffer) => {
      output += part;
    });
    onTestFinished(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      // Gently: a runner that is killed cannot end what it keeps for a next run.
      child.kill("SIGTERM");
      const overdue = setTimeout(() => child.kill("SIGKILL"), LEAVE_MS);
      await once(child, "exit");
      clearTimeout(overdue);
    });
    await listening;
    return { client: new RunnerClient(path.join(dir, "runner.sock")), process: child };
  };
  const first = await launch();
  // Last, so that what it reads is not yet cleaned up: what is registered last runs first.
  onTestFinished(async ({ task }) => {
    if (task.result?.state === "fail") console.error(await evidence(path.join(dir, "spool"), output, model));
  });
  return {
    ...first,
    cwd,
    model,
    output: () => output,
    again: () => {
      output = "";
      return launch();
    },
  };
}
