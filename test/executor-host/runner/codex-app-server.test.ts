/** The real CLI against the fake model server. */
import { expect, test } from "vitest";
import { describeAdapter, SCENARIOS } from "./adapter-contract.ts";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const provider = "codex-app-server";
const worker = sharedWorker();

describeAdapter(worker, provider, {
  ...SCENARIOS,
  content: "some words\n", // a patch is made of whole lines
  usage: { prompt: "SCN:todo", inputTokens: 2_400, outputTokens: 68 },
});

test("a command shows its exit code, a patch its diff", async () => {
  const { client, cwd, runId } = await worker.next();
  await client.start({ runId, provider, prompt: 'SCN:bash CMD:"echo no; exit 3"', cwd });
  const [command] = toolsOf(await client.events(runId));
  expect(command).toMatchObject({ toolName: "exec", input: { command: expect.stringContaining("echo no"), cwd } });
  expect(command?.output).toMatchObject({ exitCode: 3, output: expect.stringContaining("no") });
  const prompt = `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`;
  const { runId: next } = await worker.next();
  await client.start({ runId: next, provider, prompt, cwd });
  const [patch] = toolsOf(await client.events(next));
  const change = { path: `${cwd}/fresh.txt`, kind: "add", diff: expect.stringContaining("+new words") };
  expect(patch).toMatchObject({ toolName: "patch", input: { path: `${cwd}/fresh.txt`, changes: [change] } });
});

test("Codex's own death in the middle of a turn ends the run", async () => {
  const { client, cwd, runId } = await worker.next();
  await client.start({ runId, provider, prompt: 'SCN:bash CMD:"kill -9 $PPID"', cwd });
  const finished = finishedOf(await client.events(runId));
  expect(finished).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(finished.evidence).toContain("SIGKILL");
});

test("options that are not on the list are left out, and that is said", async () => {
  const { client, cwd, runId } = await worker.next();
  const providerOptions = { env: { A: "b" }, codexPath: "/bin/sh", effort: "low" };
  await client.start({ runId, provider, prompt: "SCN:think", cwd, providerOptions });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status")[1]?.data.detail).toBe("Not understood and left out: env, codexPath");
});

test("[R-6.3] a sub-agent is shown, with what it was told and how it stands", async () => {
  const { client, cwd, runId } = await worker.next();
  const prompt = 'SCN:tool:multi_agent_v1/spawn_agent INPUT:{"message":"look below"}';
  await client.start({ runId, provider, prompt, cwd });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  const [sent] = toolsOf(events);
  expect(sent).toMatchObject({ toolName: "agent", input: { tool: "spawnAgent", prompt: "look below" } });
  const states = Object.values((sent?.output ?? {}) as Record<string, { status?: string }>);
  expect(states).toEqual([expect.objectContaining({ status: expect.stringMatching(/\w/) })]);
});
