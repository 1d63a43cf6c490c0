/** The real CLI against the fake model server. */
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { describeAdapter, MODEL_FAILURES } from "./adapter-contract.ts";
import { processesIn } from "./support/processes.ts";
import { conversationOf, finishedOf, ofType, toolsOf } from "./support/read.ts";
import { HOST_SECRET, sharedRunner, startRunner } from "./support/runner-process.ts";

const provider = "opencode";
const shared = sharedRunner();

describeAdapter(provider, {
  text: "SCN:say:hello:world",
  thought: "SCN:think",
  write: (cwd) => `SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`,
  content: "some words\n", // its newest models write patches, which are made of whole lines
  command: `SCN:bash CMD:"printf 'from the shell'"`,
  todo: "SCN:todo",
  question: "SCN:ask",
  hang: "SCN:hang",
  commandHang: "SCN:bash-hang",
  usage: { prompt: "SCN:todo", inputTokens: 2_400, outputTokens: 68 },
  leave: 'SCN:insist CMD:"touch made"',
  failures: MODEL_FAILURES,
  kept: "opencode serve",
});

test("the model is reached through the egress with a placeholder for the key, and nothing of the host's environment", async () => {
  const { client, cwd, model, runId } = await shared();
  await client.start({ runId, provider, prompt: "SCN:bash CMD:env", cwd });
  const events = await client.events(runId);
  expect(model.requests.length).toBeGreaterThan(0);
  for (const { url, headers } of model.requests) {
    expect(url).toBe("/provider/opencode/chat/completions");
    expect(headers.authorization).toBe("Bearer gantry-adds-the-key");
  }
  expect(JSON.stringify(toolsOf(events)[0]?.output)).toContain(`GANTRY_RUN_MARK=${runId}.`);
  expect(JSON.stringify(events)).not.toContain(HOST_SECRET);
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
  expect({ ...after, durationMs: 0 }).toEqual({ ...before, durationMs: 0 });
});

test("a conversation that is not there any more is begun anew, and that is said", async () => {
  const { client, cwd, runId } = await shared();
  const conversationId = "ses_00000000000000000000000000";
  await client.start({ runId, provider, prompt: "SCN:history MARKER-NEW", cwd, conversationId });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(ofType(events, "run.status").map(({ data }) => data.detail ?? "")).toContainEqual(
    expect.stringContaining("begins a new one"),
  );
});

test("a command shows its exit code", async () => {
  const { client, cwd, runId } = await shared();
  await client.start({ runId, provider, prompt: 'SCN:bash CMD:"echo no; exit 3"', cwd });
  const [command] = toolsOf(await client.events(runId));
  expect(command).toMatchObject({ toolName: "bash", input: { command: "echo no; exit 3" } });
  expect(command?.output).toMatchObject({ exitCode: 3, output: expect.stringContaining("no") });
});

test("in ask mode people see the whole command, and 'for this session' is asked once", async () => {
  const { client, cwd, runId } = await shared();
  const prompt = 'SCN:bash CMD:"touch made"';
  const order = { provider, prompt, cwd, providerOptions: { permissionMode: "ask" } } as const;
  await client.start({ runId, ...order });
  const { data } = await client.first(runId, "human_loop.requested");
  const detail = { tool: "bash", command: "touch made", cwd };
  expect(data).toMatchObject({ kind: "permission", detail, rule: "bash(touch made)" });
  await client.reply(runId, { requestId: data.requestId, decision: "allow", scope: "session" });
  expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "succeeded" });
  await rm(path.join(cwd, "made"));
  const { runId: next } = await shared();
  await client.start({ runId: next, ...order });
  expect(ofType(await client.events(next), "human_loop.requested")).toEqual([]);
  expect(await readFile(path.join(cwd, "made"), "utf8")).toBe("");
});

test("in ask mode a refused write shows its diff and does not happen, and the reason reaches the agent", async () => {
  const { client, cwd, model, runId } = await shared();
  const prompt = `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`;
  await client.start({ runId, provider, prompt, cwd, providerOptions: { permissionMode: "ask" } });
  const { data } = await client.first(runId, "human_loop.requested");
  expect(data.detail.diff).toContain("+new words");
  await client.reply(runId, { requestId: data.requestId, decision: "deny", reason: "leave it" });
  await client.events(runId);
  expect(JSON.stringify(model.requests.at(-1)?.body)).toContain("leave it");
  await expect(readFile(path.join(cwd, "fresh.txt"))).rejects.toThrow("ENOENT");
});

test("[R-6.3] what a sub-agent asks is asked, what it brings back is shown, and what it used is counted", async () => {
  const { client, cwd, runId } = await shared();
  const order = { provider, cwd, providerOptions: { permissionMode: "ask" } } as const;
  await client.start({ runId, ...order, prompt: "SCN:delegate:task:general" });
  const { data } = await client.first(runId, "human_loop.requested");
  expect(data).toMatchObject({ kind: "permission", detail: { command: "echo from below", agent: "sub-agent" } });
  await client.reply(runId, { requestId: data.requestId, decision: "allow", scope: "once" });
  const events = await client.events(runId);
  expect(toolsOf(events)).toMatchObject([{ toolName: "task", output: expect.stringContaining("It ran.") }]);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded", usage: { outputTokens: 136 } });
});

/** What the agent's shell prints as its parent is the server. */
const SERVER = 'SCN:bash CMD:"echo server=$PPID"';
const serverOf = (events: RunEvent[]) => /server=(\d+)/.exec(JSON.stringify(toolsOf(events)[0]?.output))?.[1];

test("a server that came to rest serves the next run, but not another model's, and none outlives its runner", async () => {
  const { client, cwd, process } = await startRunner();
  const runOf = async (runId: string, more: { model?: string } = {}) => {
    await client.start({ runId, provider, prompt: SERVER, cwd, ...more });
    return serverOf(await client.events(runId));
  };
  const first = await runOf("run_1");
  expect(first).toMatch(/^\d+$/);
  // The model gave up; people stopped what was said, then what a tool did, then what was asked.
  await client.start({ runId: "run_2", provider, prompt: "SCN:error:500", cwd });
  expect(finishedOf(await client.events("run_2"))).toMatchObject({ reason: "overloaded" });
  for (const [runId, prompt, state] of [
    ["run_3", "SCN:hang", "message.delta"],
    ["run_4", "SCN:bash-hang", "tool"],
    ["run_5", "SCN:ask", "human_loop.requested"],
  ] as const) {
    await client.start({ runId, provider, prompt, cwd });
    if (state === "tool") await expect.poll(() => processesIn(cwd)).toContainEqual(expect.stringContaining("tail -f"));
    else await client.first(runId, state);
    await client.stop(runId);
    expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "cancelled" });
    expect(await processesIn(cwd)).toEqual([expect.stringContaining("opencode serve")]);
  }
  expect(await runOf("run_6")).toBe(first);
  expect(await runOf("run_7", { model: "another" })).not.toBe(first);
  process.kill("SIGTERM");
  await expect.poll(() => processesIn(cwd)).toEqual([]);
});

test("what was stopped says nothing in the run that follows in its conversation", async () => {
  const { client, cwd, runId } = await shared();
  await client.start({ runId, provider, prompt: "SCN:hang MARKER-STOPPED", cwd });
  await client.first(runId, "message.delta");
  await client.stop(runId);
  const conversationId = conversationOf(await client.events(runId));
  const { runId: next } = await shared();
  await client.start({ runId: next, provider, prompt: "SCN:history", cwd, conversationId });
  const events = await client.events(next);
  expect(ofType(events, "message.stop")[0]?.data.text).toBe("I was told: MARKER-STOPPED.");
  expect(conversationOf(events)).toBe(conversationId);
});

test("OpenCode's own death in the middle of a turn ends the run", async () => {
  const { client, cwd, runId } = await shared();
  await client.start({ runId, provider, prompt: 'SCN:bash CMD:"kill -9 $PPID"', cwd });
  const finished = finishedOf(await client.events(runId));
  expect(finished).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(finished.evidence).toContain("SIGKILL");
});
