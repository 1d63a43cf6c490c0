/** The real CLI against the fake model server. */
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { describeAdapter, MODEL_FAILURES } from "./adapter-contract.ts";
import { finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import { HOST_SECRET, startRunner } from "./support/runner-process.ts";

const provider = "claude-code";

describeAdapter(provider, {
  text: "SCN:say:hello:world",
  thought: "SCN:think",
  write: (cwd) => `SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`,
  content: "some words",
  command: `SCN:bash CMD:"printf 'from the shell'"`,
  todo: "SCN:todo",
  question: "SCN:ask",
  hang: "SCN:hang",
  commandHang: "SCN:bash-hang",
  usage: { prompt: "SCN:think", inputTokens: 2_100, outputTokens: 34 },
  leave: 'SCN:insist CMD:"touch made"',
  failures: MODEL_FAILURES,
});

test("the model is reached through the egress with a placeholder for the key, and nothing of the host's environment", async () => {
  const { client, cwd, model } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:bash CMD:env", cwd });
  const events = await client.events("run_1");
  expect(model.requests.length).toBeGreaterThan(0);
  for (const { url, headers } of model.requests) {
    expect(url).toMatch(/^\/provider\/claude-code\/v1\/messages/);
    expect(headers["x-api-key"]).toBe("gantry-adds-the-key");
    expect(headers.authorization).toBeUndefined();
  }
  expect(JSON.stringify(toolsOf(events)[0]?.output)).toContain("GANTRY_RUN_MARK=run_1.");
  expect(JSON.stringify(events)).not.toContain(HOST_SECRET);
});

test("the prompt arrives as it was written", async () => {
  const { client, cwd, model } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:think\nwith a second line", cwd });
  await client.events("run_1");
  const sent = JSON.stringify(model.requests[0]?.body);
  expect(sent).toContain("SCN:think\\nwith a second line");
  expect(sent).not.toContain("Human: ");
});

test("a later run resumes the conversation, and pays only for itself", async () => {
  const { client, cwd, again, process } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:think MARKER-ONE", cwd });
  const first = await client.events("run_1");
  const conversationId = ofType(first, "run.status").find(({ data }) => data.conversationId)?.data.conversationId;
  process.kill("SIGKILL");
  const next = await again();
  const order = { provider, prompt: "SCN:history MARKER-TWO", cwd, conversationId } as const;
  await next.client.start({ runId: "run_2", ...order });
  const second = await next.client.events("run_2");
  expect(ofType(second, "message.stop")[0]?.data.text).toContain("MARKER-ONE MARKER-TWO");
  expect(ofType(second, "run.status").find(({ data }) => data.conversationId)?.data.conversationId).toBe(
    conversationId,
  );
  const [before, after] = [first, second].map((events) => finishedOf(events).usage);
  expect({ ...after, durationMs: 0 }).toEqual({ ...before, durationMs: 0 });
  expect(after?.costUsd).toBeGreaterThan(0);
});

test("a conversation that is not there any more is begun anew, and that is said", async () => {
  const { client, cwd } = await startRunner();
  const conversationId = "00000000-0000-4000-8000-000000000000";
  await client.start({ runId: "run_1", provider, prompt: "SCN:history MARKER-NEW", cwd, conversationId });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status").map(({ data }) => data.detail ?? "")).toContainEqual(
    expect.stringContaining("begins a new one"),
  );
});

test("[R-6.3] a sub-agent's work is in the stream, below the tool that sent it, and is waited for", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:delegate:Agent:general-purpose", cwd });
  const events = await client.events("run_1");
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

test("a conversation goes on after it was stopped", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:hang MARKER-STOPPED", cwd });
  await client.first("run_1", "message.delta");
  await client.stop("run_1");
  const status = ofType(await client.events("run_1"), "run.status").find(({ data }) => data.conversationId);
  const conversationId = status?.data.conversationId;
  await client.start({ runId: "run_2", provider, prompt: "SCN:history", cwd, conversationId });
  expect(ofType(await client.events("run_2"), "message.stop")[0]?.data.text).toContain("MARKER-STOPPED");
});

test("in ask mode people see the whole command, and 'for this session' is asked once", async () => {
  const { client, cwd } = await startRunner();
  const order = {
    provider,
    prompt: 'SCN:bash CMD:"touch made"',
    cwd,
    providerOptions: { permissionMode: "ask" },
  } as const;
  await client.start({ runId: "run_1", ...order });
  const { data } = await client.first("run_1", "human_loop.requested");
  expect(data).toMatchObject({
    kind: "permission",
    detail: { tool: "Bash", command: "touch made", cwd },
    rule: "Bash(touch made)",
  });
  await client.reply("run_1", { requestId: data.requestId, decision: "allow", scope: "session" });
  expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "succeeded" });
  await rm(path.join(cwd, "made"));
  await client.start({ runId: "run_2", ...order });
  expect(ofType(await client.events("run_2"), "human_loop.requested")).toEqual([]);
  expect(await readFile(path.join(cwd, "made"), "utf8")).toBe("");
});

test("in ask mode a refused write shows its diff and does not happen", async () => {
  const { client, cwd } = await startRunner();
  await writeFile(path.join(cwd, "kept.txt"), "old\n");
  const prompt = `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`;
  await client.start({ runId: "run_1", provider, prompt, cwd, providerOptions: { permissionMode: "ask" } });
  const { data } = await client.first("run_1", "human_loop.requested");
  expect(data.detail.diff).toContain("+new words");
  await client.reply("run_1", { requestId: data.requestId, decision: "deny", reason: "leave it" });
  const events = await client.events("run_1");
  expect(JSON.stringify(messageOf(events))).toContain("leave it");
  await expect(readFile(path.join(cwd, "fresh.txt"))).rejects.toThrow("ENOENT");
});

test("what the agent keeps in the workspace stays out of git", async () => {
  const { client, cwd, output } = await startRunner();
  const command = "git init -q && git add -A && git status --short && echo end";
  await client.start({ runId: "run_1", provider, prompt: `SCN:bash CMD:"${command}"`, cwd });
  expect(toolsOf(await client.events("run_1"))[0]?.output).toBe("end");
  expect(output()).not.toContain("Warning");
});

test("options that are not on the list are left out, and that is said", async () => {
  const { client, cwd } = await startRunner();
  const providerOptions = { env: { A: "b" }, pathToClaudeCodeExecutable: "/bin/sh", maxTurns: 5 };
  await client.start({ runId: "run_1", provider, prompt: "SCN:think", cwd, providerOptions });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status")[1]?.data.detail).toBe(
    "Not understood and left out: env, pathToClaudeCodeExecutable",
  );
});

test("a wrong key is the host's to mend, and the evidence says so without showing one", async () => {
  const { client, cwd } = await startRunner({ modelKey: "sk-ant-the-right-one" });
  await client.start({ runId: "run_1", provider, prompt: "SCN:think", cwd });
  expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "failed", reason: "auth_rejected" });
});
