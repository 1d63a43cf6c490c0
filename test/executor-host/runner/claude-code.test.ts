/** The real CLI against the fake model server. */
import { expect, test } from "vitest";
import { describeAdapter, SCENARIOS, THOUGHT } from "./adapter-contract.ts";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { startRunner } from "./support/runner-process.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const provider = "claude-code";
const worker = sharedWorker();

describeAdapter(worker, provider, {
  ...SCENARIOS,
  usage: { prompt: THOUGHT, inputTokens: 2_100, outputTokens: 34 },
});

test("[R-6.3] a sub-agent's work is in the stream, below the tool that sent it, and is waited for", async () => {
  const { client, cwd, runId } = await worker.next();
  await client.start({ runId, provider, prompt: "SCN:delegate:Agent:general-purpose", cwd });
  const events = await client.events(runId);
  expect(toolsOf(events)).toMatchObject([
    { toolName: "Agent", state: "output-available", output: expect.stringContaining("It ran.") },
    { toolName: "Bash", state: "output-available", output: "from below" },
  ]);
  const below = ofType(events, "message.delta").flatMap(({ data }) =>
    data.chunks.filter((chunk) => "providerMetadata" in chunk),
  );
  const parentToolCallId = toolsOf(events)[0]?.toolCallId;
  expect(below).toContainEqual(
    expect.objectContaining({ type: "tool-output-available", providerMetadata: { [provider]: { parentToolCallId } } }),
  );
  expect(ofType(events, "message.stop")[0]?.data.text).toContain("They came back.");
  // Four answers of the model: two of the agent, two below.
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded", usage: { outputTokens: 136 } });
});

test("what the agent keeps in the workspace stays out of git", async () => {
  const { client, cwd, output } = await startRunner();
  const command = "git init -q && git add -A && git status --short && echo end";
  await client.start({ runId: "run_1", provider, prompt: `SCN:bash CMD:"${command}"`, cwd });
  expect(toolsOf(await client.events("run_1"))[0]?.output).toBe("end");
  expect(output()).not.toContain("Warning");
});

test("options that are not on the list are left out, and that is said", async () => {
  const { client, cwd, runId } = await worker.next();
  const providerOptions = { env: { A: "b" }, pathToClaudeCodeExecutable: "/bin/sh", maxTurns: 5 };
  await client.start({ runId, provider, prompt: "SCN:think", cwd, providerOptions });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status")[1]?.data.detail).toBe(
    "Not understood and left out: env, pathToClaudeCodeExecutable",
  );
});
