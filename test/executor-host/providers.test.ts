/** What a host says it is ready for, from what is installed and which keys are set. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { upstreamsFrom } from "../../executor-host/egress/credentials.ts";
import { providerReadiness } from "../../executor-host/providers.ts";
import { placeAcpAgents } from "../../executor-host/toolkit/acp-agents.ts";
import { CliHealth, whyBroken } from "../../executor-host/toolkit/cli-health.ts";
import { cliBinary } from "../../executor-host/toolkit/clis.ts";

async function readinessWith(settings: Record<string, string>, ownAgents: string[] = []) {
  const root = await mkdtemp(path.join(os.tmpdir(), "gp-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  return providerReadiness({ root, toolkit: path.join(root, "toolkit") }, upstreamsFrom(settings), ownAgents);
}

test("Gantry's own agent is ready with the key of any one vendor and no CLI", async () => {
  for (const variable of ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
    expect((await readinessWith({ [variable]: "sk-x" })).native).toEqual({ state: "ready" });
});

test("without any key it says which ones it could take", async () => {
  const { native } = await readinessWith({});
  expect(native).toMatchObject({ state: "environment_not_ready", fix: expect.stringContaining("Credentials") });
  expect(native?.reason).toContain("api.openai.com");
  expect(native?.reason).toContain("api.anthropic.com");
});

test("an agent of the operator's own makes acp ready; without any, the command that installs one is named", async () => {
  const { acp } = await readinessWith({ OPENAI_API_KEY: "sk-x" });
  expect(acp).toMatchObject({
    state: "environment_not_ready",
    fix: expect.stringMatching(/claude-code claude-agent-acp/),
  });
  expect((await readinessWith({}, ["mine"])).acp).toEqual({ state: "ready" });
});

test("the operator's agents stand where the runner reads them, and go with the setting", async () => {
  const dir = await mkdtemp(path.join(os.tmpdir(), "gp-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  await placeAcpAgents(dir, { mine: { command: "agent", args: [], env: {} } });
  expect(JSON.parse(await readFile(path.join(dir, "acp-agents.json"), "utf8"))).toHaveProperty("mine");
  await placeAcpAgents(dir, undefined);
  expect(await readdir(dir)).toEqual([]);
});

describe("[R-6.7] a CLI that is installed but does not run", () => {
  /** As npm would leave it, at the version that this Gantry wants. */
  async function installed(script: string, root?: string) {
    const dir = root ?? (await mkdtemp(path.join(os.tmpdir(), "gp-")));
    if (!root) onTestFinished(() => rm(dir, { recursive: true, force: true }));
    const binary = cliBinary(path.join(dir, "toolkit"), "claude-code");
    await mkdir(path.dirname(binary), { recursive: true });
    const wanted = path.join(import.meta.dirname, "../../executor-host/toolkit/claude-code/package.json");
    await writeFile(path.join(dir, "toolkit", "claude-code", "package.json"), await readFile(wanted));
    await writeFile(binary, `#!/bin/sh\n${script}\n`);
    await chmod(binary, 0o755);
    return { root: dir, binary };
  }
  const ask = (root: string, broken: (binary: string) => Promise<string | undefined>) =>
    providerReadiness(
      { root, toolkit: path.join(root, "toolkit") },
      upstreamsFrom({ ANTHROPIC_API_KEY: "k" }),
      [],
      broken,
    );

  test("is runtime_unhealthy with its own words and a fix; mended, it is ready", async () => {
    const { root } = await installed("echo 'libfoo.so is missing' >&2; exit 127");
    const { "claude-code": claude, scripted } = await ask(root, whyBroken);
    expect(claude).toMatchObject({
      state: "runtime_unhealthy",
      reason: expect.stringMatching(/but ended with 127 when asked for its version \(libfoo.so is missing\)\.$/),
      fix: expect.stringMatching(/^rm -r .*claude-code && .*toolkit install claude-code/),
    });
    expect(scripted).toEqual({ state: "ready" });
    await installed("exit 0", root);
    expect((await ask(root, whyBroken))["claude-code"]).toMatchObject({ state: "ready" });
  });

  test("sees nothing of the daemon's environment", async () => {
    process.env.GANTRY_TEST_SECRET = "canary";
    onTestFinished(() => void delete process.env.GANTRY_TEST_SECRET);
    const { binary } = await installed("env >&2; env | tr '\\n' ' ' >&2; exit 1");
    const why = await whyBroken(binary);
    expect(why).toContain("HOME=");
    expect(why).not.toContain("canary");
  });

  test("the daemon does not wait for it, and hears of a change once", async () => {
    const { root } = await installed("exit 3");
    const heard = Promise.withResolvers<void>();
    const health = new CliHealth(() => heard.resolve());
    expect((await ask(root, health.reason))["claude-code"]).toMatchObject({ state: "ready" });
    await heard.promise;
    expect((await ask(root, health.reason))["claude-code"]).toMatchObject({ state: "runtime_unhealthy" });
  });
});
