import { once } from "node:events";
import { readFile, symlink } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import type { GivenAnswer } from "#protocol/events.ts";
import { describeAdapter } from "./adapter-contract.ts";
import { finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import { startRunner } from "./support/runner-process.ts";
import { sharedWorker } from "./support/shared-worker.ts";

describeAdapter(sharedWorker(), "scripted", {
  text: "say hello world",
  thought: "think about it\nsay so",
  write: () => "write made.txt some words",
  content: "some words",
  command: "bash printf 'from the shell'; exit 3",
  look: "bash id -u; pwd; env",
  todo: "todo [x] a; [>] b; [ ] c",
  question: "ask question Which colour? | Red | Blue",
  hang: "say begun\nhang",
  commandHang: "bash tail -f /dev/null",
  leave: "ask permission touch made\nbash touch made",
  again: "ask permission touch again\nbash touch again",
  usage: { prompt: "usage 10 20\nusage 1 2", inputTokens: 11, outputTokens: 22 },
  failures: [
    { prompt: "fail rate_limited", reason: "rate_limited" },
    { prompt: "say first\nfail context_exceeded", reason: "context_exceeded" },
  ],
});

const run = async (prompt: string, prepare: (cwd: string) => Promise<void> = async () => {}) => {
  const runner = await startRunner();
  await prepare(runner.cwd);
  await runner.client.start({ runId: "run_1", prompt, cwd: runner.cwd });
  return { ...runner, events: await runner.client.events("run_1") };
};

test("a prompt without a step does a small real job", async () => {
  const { events, cwd } = await run("please do\nsomething nice");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(await readFile(path.join(cwd, "hello.md"), "utf8")).toContain("> please do\n> something nice");
  expect(toolsOf(events).map(({ toolName, state }) => [toolName, state])).toEqual([
    ["write", "output-available"],
    ["read", "output-available"],
    ["bash", "output-available"],
  ]);
  const todos = ofType(events, "todo.update").map(({ data }) =>
    data.items.filter(({ status }) => status === "completed"),
  );
  expect(todos.map((done) => done.length)).toEqual([0, 1, 2, 3]);
});

test("unknown lines are echoed among known ones", async () => {
  const { events } = await run("say one\nwhat is this\nstream x y");
  expect(ofType(events, "message.stop")[0]?.data.text).toBe("one\n\nwhat is this\n\nstream x y");
});

test("streams the deltas it was asked for", async () => {
  const { events } = await run("stream 300 0");
  const text = ofType(events, "message.stop")[0]?.data.text.trim().split(" ");
  expect(text).toEqual(Array.from({ length: 300 }, (_, index) => String(index + 1)));
});

test("paths that lead out of the workspace are refused, also through links", async () => {
  const script =
    "write ../out.txt x\nwrite link/out.txt x\nread /etc/hostname\nread link/hostname\nwrite fine/deep.txt yes";
  const { events, cwd } = await run(script, (cwd) => symlink("/etc", path.join(cwd, "link")));
  expect(toolsOf(events).map(({ state }) => state)).toEqual([
    ...Array<string>(4).fill("output-error"),
    "output-available",
  ]);
  expect(await readFile(path.join(cwd, "fine/deep.txt"), "utf8")).toBe("yes");
});

test("a command that fails is a tool with an exit code; the host's environment does not reach it", async () => {
  const { events } = await run("bash echo out; echo err >&2; exit 3\nbash env");
  const [failed, env] = toolsOf(events);
  expect(failed?.output).toEqual({ exitCode: 3, output: "out\nerr\n" });
  expect(JSON.stringify(env?.output)).not.toContain("SECRET");
});

test("a permission for the session is asked once", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", prompt: "ask permission deploy\nask permission deploy", cwd });
  const { data } = await client.first("run_1", "human_loop.requested");
  await client.reply("run_1", { requestId: data.requestId, decision: "allow", scope: "session" });
  const events = await client.events("run_1");
  expect(ofType(events, "human_loop.requested")).toHaveLength(1);
  expect(ofType(events, "message.stop")[0]?.data.text).toBe("Allowed: deploy\n\nAllowed: deploy");
});

test("a refusal is said with its reason and the script goes on", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", prompt: "ask permission deploy\nsay after", cwd });
  const { data } = await client.first("run_1", "human_loop.requested");
  await client.reply("run_1", { requestId: data.requestId, decision: "deny", reason: "not today" });
  const text = ofType(await client.events("run_1"), "message.stop")[0]?.data.text;
  expect(text).toBe("Denied: deploy (not today)\n\nafter");
});

test("a runner that crashed is followed by one that ends its run, and keeps the events", async () => {
  const { client, cwd, again, process } = await startRunner();
  const exited = once(process, "exit");
  await client.start({ runId: "run_1", prompt: "todo [>] a\ncrash", cwd });
  expect(await exited).toEqual([null, "SIGKILL"]);
  const next = await again();
  const events = await next.client.events("run_1");
  expect(ofType(events, "todo.update")).toHaveLength(1);
  expect(finishedOf(events)).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(await next.client.start({ runId: "run_2", prompt: "say again", cwd })).toMatchObject({ status: 202 });
  expect(messageOf(await next.client.events("run_2"))?.parts).toMatchObject([{ text: "again" }]);
});

test("SIGTERM breaks off what runs, says that nobody cancelled it, and leaves", async () => {
  const { client, cwd, process } = await startRunner();
  await client.start({ runId: "run_1", prompt: "say begun\nhang", cwd });
  const events = client.events("run_1");
  await client.first("run_1", "message.delta");
  const exited = once(process, "exit");
  process.kill("SIGTERM");
  expect(finishedOf(await events)).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(await exited).toEqual([0, null]);
});

test("[S-41] a script that was interrupted while it asked goes on with the question, which is answered", async () => {
  const runner = await startRunner();
  const prompt = "write one.txt 1\nask permission Deploy?\nask question Which? | Red | Blue\nwrite two.txt 2";
  await runner.client.start({ runId: "run_1", prompt, cwd: runner.cwd });
  await runner.client.first("run_1", "human_loop.requested");
  await runner.client.stop("run_1");
  expect(finishedOf(await runner.client.events("run_1"))).toMatchObject({ outcome: "cancelled" });
  const given = [
    { kind: "permission", title: "Deploy?", rule: "scripted(Deploy?)", decision: "allow", scope: "once" },
  ] satisfies GivenAnswer[];
  await runner.client.start({ runId: "run_1-p1", prompt: "go on", given, cwd: runner.cwd });
  await runner.client.first("run_1-p1", "human_loop.requested");
  await runner.client.stop("run_1-p1");
  expect(finishedOf(await runner.client.events("run_1-p1"))).toMatchObject({ outcome: "cancelled" });
  const answers = [
    { kind: "question", title: "Which?", decision: "answer", scope: "once", answers: ["2"] },
  ] satisfies GivenAnswer[];
  await runner.client.start({ runId: "run_1-p2", prompt: "go on", given: answers, cwd: runner.cwd });
  const events = await runner.client.events("run_1-p2");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(JSON.stringify(messageOf(events))).toContain("Answer: Blue");
  expect(await readFile(path.join(runner.cwd, "two.txt"), "utf8")).toBe("2");
  expect(ofType(events, "human_loop.requested")).toEqual([]);
});
