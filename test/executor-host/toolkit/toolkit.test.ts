import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { CLI_PACKAGES, CLI_PROVIDERS, installClis, toolkitReadiness } from "../../../executor-host/toolkit/clis.ts";
import { prepareToolkit } from "../../../executor-host/toolkit/toolkit.ts";
import { ensureToolkit } from "../../support/toolkit.ts";
import { RunnerClient } from "../runner/support/runner-client.ts";

async function folder(): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "gt-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

test("node and runner.mjs run alone, in a folder with nothing else and an empty environment", async () => {
  const dir = await folder();
  const { nodePath, runnerPath } = await prepareToolkit({ dir: path.join(dir, "toolkit") });
  const alone = path.join(dir, "alone");
  await mkdir(alone);
  await copyFile(nodePath, path.join(alone, "node"));
  await copyFile(runnerPath, path.join(alone, "runner.mjs"));
  const socket = path.join(dir, "r.sock");
  const args = ["runner.mjs", "--socket", socket, "--spool", path.join(dir, "spool")];
  const runner = spawn(path.join(alone, "node"), args, { cwd: alone, env: {}, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    runner.kill("SIGKILL");
    await once(runner, "exit");
  });
  await once(runner.stdout, "data");
  const client = new RunnerClient(socket);
  expect(await client.get("/health")).toMatchObject({
    status: 200,
    body: { providers: { scripted: { version: "1" } } },
  });
  await client.start({ runId: "run_1", cwd: alone, prompt: "write a.txt x" });
  expect((await client.events("run_1")).at(-1)?.data).toEqual({ outcome: "succeeded" });
});

test("an unchanged toolkit is not made again; a damaged one is mended; everybody can read it", async () => {
  const dir = await folder();
  expect(await prepareToolkit({ dir })).toMatchObject({ rebuilt: true });
  expect(await prepareToolkit({ dir })).toMatchObject({ rebuilt: false });
  await rm(path.join(dir, "runner.mjs"));
  expect(await prepareToolkit({ dir })).toMatchObject({ rebuilt: true });
  await writeFile(path.join(dir, "stamp.json"), "{}");
  expect(await prepareToolkit({ dir })).toMatchObject({ rebuilt: true });
  for (const [name, mode] of [
    ["", 0o755],
    ["node", 0o755],
    ["runner.mjs", 0o644],
  ] as const)
    expect((await stat(path.join(dir, name))).mode & mode).toBe(mode);
});

test("what a killed maker left is removed, and what another is making is left alone", async () => {
  const dir = await folder();
  const maker = spawn(process.execPath, ["-e", "0"]);
  await once(maker, "exit");
  const [dead, alive] = [`.new-${maker.pid}`, `.new-${process.ppid}`];
  await Promise.all([dead, alive].map((name) => mkdir(path.join(dir, name))));
  await prepareToolkit({ dir });
  expect((await readdir(dir)).filter((name) => name.startsWith(".new-"))).toEqual([alive]);
});

test("without CLIs the readiness says what to do; with another version, too", async () => {
  const dir = await folder();
  const missing = { readiness: "environment_not_ready", reason: expect.stringContaining("not installed") };
  expect(await toolkitReadiness(dir)).toEqual(Object.fromEntries(CLI_PACKAGES.map((provider) => [provider, missing])));
  await mkdir(path.join(dir, "claude-code"));
  await writeFile(path.join(dir, "claude-code/package.json"), JSON.stringify({ version: "0.0.1" }));
  expect(await toolkitReadiness(dir)).toMatchObject({
    "claude-code": { readiness: "environment_not_ready", reason: expect.stringContaining("0.0.1") },
  });
});

test("an installed CLI is ready, is the version it says, and is not installed again", async () => {
  const dir = await ensureToolkit();
  const { "claude-code": claude } = await toolkitReadiness(dir);
  expect(claude).toMatchObject({ readiness: "ready" });
  const lines: string[] = [];
  await installClis({ dir, providers: ["claude-code"], onLine: (line) => lines.push(line) });
  expect(lines).toEqual([expect.stringMatching(/^claude-code [\d.]+ is installed\.$/)]);
  const binary = `node_modules/@anthropic-ai/claude-code-linux-${process.arch === "arm64" ? "arm64" : "x64"}/claude`;
  const { stdout } = await promisify(execFile)(path.join(dir, "claude-code", binary), ["--version"]);
  expect(stdout).toContain(claude.readiness === "ready" ? claude.version : "?");
}, 600_000);

test.each(CLI_PACKAGES)(
  "the lockfile of %s names exact versions, for both platforms where they differ, and no registry's host",
  async (provider) => {
    const file = path.resolve(import.meta.dirname, "../../../executor-host/toolkit", provider, "package-lock.json");
    const lock = await readFile(file, "utf8");
    const packages: Record<string, { integrity?: string; cpu?: string[]; resolved?: string }> =
      JSON.parse(lock).packages;
    expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([]);
    // The agents of the other protocol are scripts; what is native stands in the packages of the CLIs that they drive.
    if ((CLI_PROVIDERS as readonly string[]).includes(provider))
      expect(Object.values(packages).flatMap(({ cpu }) => cpu ?? [])).toEqual(expect.arrayContaining(["x64", "arm64"]));
    for (const [name, { integrity }] of Object.entries(packages))
      if (name !== "") expect(integrity).toMatch(/^sha512-/);
  },
);
