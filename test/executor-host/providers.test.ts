/** What a host says it is ready for, from what is installed and which keys are set. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { upstreamsFrom } from "../../executor-host/egress/credentials.ts";
import { providerReadiness } from "../../executor-host/providers.ts";
import { placeAcpAgents } from "../../executor-host/toolkit/acp-agents.ts";

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
  expect(native?.reason).toContain("OPENAI_API_KEY");
  expect(native?.reason).toContain("ANTHROPIC_API_KEY");
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
