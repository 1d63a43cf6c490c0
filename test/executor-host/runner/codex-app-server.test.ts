/** The real CLI against the fake model server. */
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { describeAdapter, MODEL_FAILURES } from "./adapter-contract.ts";
import { conversationOf, finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import { HOST_SECRET, startRunner } from "./support/runner-process.ts";

const provider = "codex-app-server";

describeAdapter(provider, {
  text: "SCN:say:hello:world",
  thought: "SCN:think",
  write: (cwd) => `SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`,
  content: "some words\n", // a patch is made of whole lines
  command: `SCN:bash CMD:"printf 'from the shell'"`,
  todo: "SCN:todo",
  question: "SCN:ask",
  hang: "SCN:hang",
  commandHang: "SCN:bash-hang",
  usage: { prompt: "SCN:todo", inputTokens: 2_400, outputTokens: 68 },
  leave: 'SCN:insist CMD:"touch made"',
  failures: MODEL_FAILURES,
});

test("the model is reached through the egress without a key, and nothing of the host's environment", async () => {
  const { client, cwd, model } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:bash CMD:env", cwd });
  const events = await client.events("run_1");
  expect(model.requests.length).toBeGreaterThan(0);
  for (const { url, headers } of model.requests) {
    expect(url).toBe("/provider/codex-app-server/responses");
    expect(headers.authorization).toBeUndefined();
  }
  const output = JSON.stringify(toolsOf(events)[0]?.output);
  expect(output).toContain("GANTRY_RUN_MARK=run_1.");
  expect(output).not.toContain("GANTRY_BRIDGE");
  expect(JSON.stringify(events)).not.toContain(HOST_SECRET);
});

test("the prompt arrives as it was written", async () => {
  const { client, cwd, model } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:think\nwith a second line", cwd });
  await client.events("run_1");
  const sent = JSON.stringify(model.requests[0]?.body);
  expect(sent).toContain('"SCN:think\\nwith a second line"');
});

test("a later run resumes the conversation, and pays only for itself", async () => {
  const { client, cwd, again, process } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:think MARKER-ONE", cwd });
  const first = await client.events("run_1");
  const conversationId = conversationOf(first);
  process.kill("SIGKILL");
  const next = await again();
  const order = { provider, prompt: "SCN:history MARKER-TWO", cwd, conversationId } as const;
  await next.client.start({ runId: "run_2", ...order });
  const second = await next.client.events("run_2");
  expect(ofType(second, "message.stop")[0]?.data.text).toContain("MARKER-ONE MARKER-TWO");
  expect(conversationOf(second)).toBe(conversationId);
  const [before, after] = [first, second].map((events) => finishedOf(events).usage);
  expect(before).toMatchObject({ inputTokens: 1_200, outputTokens: 34, cacheReadTokens: 800, reasoningTokens: 10 });
  expect({ ...after, durationMs: 0 }).toEqual({ ...before, durationMs: 0 });
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

test("a conversation goes on after it was stopped", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: "SCN:hang MARKER-STOPPED", cwd });
  await client.first("run_1", "message.delta");
  await client.stop("run_1");
  const conversationId = conversationOf(await client.events("run_1"));
  await client.start({ runId: "run_2", provider, prompt: "SCN:history", cwd, conversationId });
  expect(ofType(await client.events("run_2"), "message.stop")[0]?.data.text).toContain("MARKER-STOPPED");
});

test("a command shows its exit code, a patch its diff", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: 'SCN:bash CMD:"echo no; exit 3"', cwd });
  const [command] = toolsOf(await client.events("run_1"));
  expect(command).toMatchObject({ toolName: "exec", input: { command: expect.stringContaining("echo no"), cwd } });
  expect(command?.output).toMatchObject({ exitCode: 3, output: expect.stringContaining("no") });
  const prompt = `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`;
  await client.start({ runId: "run_2", provider, prompt, cwd });
  const [patch] = toolsOf(await client.events("run_2"));
  const change = { path: `${cwd}/fresh.txt`, kind: "add", diff: expect.stringContaining("+new words") };
  expect(patch).toMatchObject({ toolName: "patch", input: { path: `${cwd}/fresh.txt`, changes: [change] } });
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
    detail: { tool: "exec", command: expect.stringContaining("touch made"), cwd },
    rule: `exec(${data.detail.command})`,
  });
  await client.reply("run_1", { requestId: data.requestId, decision: "allow", scope: "session" });
  expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "succeeded" });
  await rm(path.join(cwd, "made"));
  await client.start({ runId: "run_2", ...order });
  expect(ofType(await client.events("run_2"), "human_loop.requested")).toEqual([]);
  expect(await readFile(path.join(cwd, "made"), "utf8")).toBe("");
});

test("in ask mode a refused patch shows its diff and does not happen, and the reason reaches the agent", async () => {
  const { client, cwd, model } = await startRunner();
  const prompt = `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`;
  await client.start({ runId: "run_1", provider, prompt, cwd, providerOptions: { permissionMode: "ask" } });
  const { data } = await client.first("run_1", "human_loop.requested");
  expect(JSON.stringify(data.detail.changes)).toContain("+new words");
  await client.reply("run_1", { requestId: data.requestId, decision: "deny", reason: "leave it" });
  const events = await client.events("run_1");
  expect(toolsOf(events)[0]).toMatchObject({ state: "output-denied" });
  expect(JSON.stringify(model.requests.at(-1)?.body)).toContain("The user refused this: leave it");
  expect(messageOf(events)?.state).toBe("done");
  await expect(readFile(path.join(cwd, "fresh.txt"))).rejects.toThrow("ENOENT");
});

test("Codex's own death in the middle of a turn ends the run", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", provider, prompt: 'SCN:bash CMD:"kill -9 $PPID"', cwd });
  const finished = finishedOf(await client.events("run_1"));
  expect(finished).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(finished.evidence).toContain("SIGKILL");
});

test("options that are not on the list are left out, and that is said", async () => {
  const { client, cwd } = await startRunner();
  const providerOptions = { env: { A: "b" }, codexPath: "/bin/sh", effort: "low" };
  await client.start({ runId: "run_1", provider, prompt: "SCN:think", cwd, providerOptions });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status")[1]?.data.detail).toBe("Not understood and left out: env, codexPath");
});
