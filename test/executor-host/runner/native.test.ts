/** Gantry's own agent against the fake model server, over each of the wires that it speaks. */
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { describeAdapter, SCENARIOS } from "./adapter-contract.ts";
import { finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import { startRunner } from "./support/runner-process.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const provider = "native";
const model = "anthropic/fake";
const worker = sharedWorker();
const base = { provider, model, providerOptions: { maxRetries: 0 } } as const;

describeAdapter(worker, provider, {
  ...SCENARIOS,
  order: { model, providerOptions: { maxRetries: 0 } },
  usage: { prompt: "SCN:todo", inputTokens: 4_200, outputTokens: 68 },
});

test.each([
  ["anthropic/fake", "/v1/messages", { inputTokens: 4_200, outputTokens: 68 }],
  ["openai/fake", "/v1/responses", { inputTokens: 2_400, outputTokens: 68 }],
  ["compatible/some/fake", "/v1/chat/completions", { inputTokens: 2_400, outputTokens: 68 }],
])("[R-2.5] %s: the model is reached at %s with a key that the agent never sees", async (model, url, usage) => {
  const { client, cwd, key, model: server, runId } = await worker.next();
  const before = server.requests.length;
  await client.start({ runId, ...base, model, prompt: "SCN:bash CMD:env", cwd });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded", usage });
  const requests = server.requests.slice(before);
  expect(requests).toHaveLength(2);
  for (const request of requests) {
    expect(request.url).toBe(url);
    const { authorization, "x-api-key": header } = request.headers;
    expect(header ?? authorization?.replace("Bearer ", "")).toBe(key);
    expect(request.body).toMatchObject({ model: model.split("/").slice(1).join("/") });
  }
  expect(JSON.stringify(events)).not.toContain(key);
});

test("its tools find what they need in a plain image", async () => {
  const { client, cwd, runId } = await worker.next();
  const prompt = 'SCN:tool:search INPUT:{"pattern":"some wor"}';
  await client.start({ runId, ...base, prompt, cwd });
  expect(JSON.stringify(toolsOf(await client.events(runId))[0]?.output)).toContain("made.txt:1:");
});

test("a model whose name says no API that is known fails as model_not_found, with what to write instead", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", ...base, model: "nobody/knows", prompt: "SCN:text", cwd });
  const finished = finishedOf(await client.events("run_1"));
  expect(finished).toMatchObject({ outcome: "failed", reason: "model_not_found" });
  expect(finished.evidence).toContain("anthropic/");
});

test("an answer that says 'later' is asked for again", async () => {
  const { client, cwd, model } = await startRunner();
  await client.start({ runId: "run_1", ...base, providerOptions: { maxRetries: 1 }, prompt: "SCN:error:429", cwd });
  expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "failed", reason: "rate_limited" });
  expect(model.requests).toHaveLength(2);
});

test("a later run in another runner resumes the conversation, and pays only for itself", async () => {
  const { client, cwd, again, process, model: server } = await startRunner();
  await client.start({ runId: "run_1", ...base, prompt: "SCN:bash MARKER-ONE", cwd });
  const first = await client.events("run_1");
  const conversationId = conversationOf(first);
  process.kill("SIGKILL");
  const next = await again();
  await next.client.start({ runId: "run_2", ...base, prompt: "SCN:history MARKER-TWO", cwd, conversationId });
  const second = await next.client.events("run_2");
  expect(ofType(second, "message.stop")[0]?.data.text).toContain("MARKER-ONE MARKER-TWO");
  expect(conversationOf(second)).toBe(conversationId);
  expect(finishedOf(second).usage).toMatchObject({ inputTokens: 2_100, outputTokens: 34 });
  // What the tool had answered is known, too.
  expect(JSON.stringify(server.requests.at(-1)?.body)).toContain("exitCode");
});

test("a conversation that was stopped in the middle of a command can be resumed", async () => {
  const { client, cwd } = await startRunner();
  await client.start({ runId: "run_1", ...base, prompt: "SCN:bash-hang MARKER-ONE", cwd });
  await client.first("run_1", "message.delta", ({ data }) =>
    data.chunks.some((chunk) => chunk.type === "tool-input-available"),
  );
  await client.stop("run_1");
  const conversationId = conversationOf(await client.events("run_1"));
  await client.start({ runId: "run_2", ...base, prompt: "SCN:history MARKER-TWO", cwd, conversationId });
  const events = await client.events("run_2");
  expect(ofType(events, "message.stop")[0]?.data.text).toContain("MARKER-ONE MARKER-TWO");
});

test("a command shows its exit code; one that prints without end keeps its beginning and its end", async () => {
  const { client, cwd } = await startRunner();
  await client.start({
    runId: "run_1",
    ...base,
    prompt: 'SCN:bash CMD:"echo first; seq 100000; echo last; exit 3"',
    cwd,
  });
  const [command] = toolsOf(await client.events("run_1"));
  const { exitCode, output = "" } = (command?.output ?? {}) as { exitCode?: number; output?: string };
  expect(exitCode).toBe(3);
  expect(output).toMatch(/^first\n1\n/);
  expect(output).toMatch(/bytes were left out here[\s\S]*100000\nlast\n$/);
  expect(output.length).toBeLessThan(40_000);
});

test("a command that takes too long is ended, and the agent goes on", async () => {
  const { client, cwd } = await startRunner();
  await client.start({
    runId: "run_1",
    ...base,
    prompt: use("bash", { command: "tail -f /dev/null", timeoutMs: 200 }),
    cwd,
  });
  const events = await client.events("run_1");
  expect(toolsOf(events)[0]?.output).toMatchObject({ timedOut: true, signal: "SIGTERM" });
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
});

test("edit replaces text that stands there once and shows the diff; text that does not is the agent's to mend", async () => {
  const { client, cwd } = await startRunner();
  await writeFile(path.join(cwd, "a.txt"), "one\ntwo\none\n");
  const edit = { path: "a.txt", old_string: "two", new_string: "2 $& 2" };
  await client.start({ runId: "run_1", ...base, prompt: use("edit", edit), cwd });
  const [done] = toolsOf(await client.events("run_1"));
  expect((done?.output as { diff?: string } | undefined)?.diff).toContain("-two\n+2 $& 2");
  expect(await readFile(path.join(cwd, "a.txt"), "utf8")).toBe("one\n2 $& 2\none\n");
  await client.start({ runId: "run_2", ...base, prompt: use("edit", { ...edit, old_string: "one" }), cwd });
  const events = await client.events("run_2");
  expect(toolsOf(events)[0]).toMatchObject({ state: "output-error", errorText: expect.stringContaining("2 times") });
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
});

test("read and search stay in the workspace, wherever links lead", async () => {
  const { client, cwd } = await startRunner();
  await mkdir(path.join(cwd, "src"));
  await writeFile(path.join(cwd, "src", "deep.ts"), "first\nneedle here\n");
  await writeFile(path.join(cwd, "..", "outside.txt"), "needle outside");
  await symlink("../outside.txt", path.join(cwd, "link.txt"));
  const outputs: unknown[] = [];
  const prompts = [
    use("search", { pattern: "need+le" }),
    use("search", { glob: "**/*.ts" }),
    use("read", { path: "src/deep.ts", from: 2 }),
    use("read", { path: "link.txt" }),
    use("search", { pattern: "(" }),
  ];
  for (const [index, prompt] of prompts.entries()) {
    await client.start({ runId: `run_${index}`, ...base, prompt, cwd });
    const [tool] = toolsOf(await client.events(`run_${index}`));
    outputs.push(tool?.output ?? tool?.errorText);
  }
  expect(outputs).toEqual([
    { matches: ["src/deep.ts:2:needle here"], more: false },
    { matches: ["src/deep.ts"], more: false },
    { path: "src/deep.ts", content: "needle here", from: 2, lines: 1, more: false },
    expect.stringContaining("outside the working directory"),
    expect.stringContaining("grep"),
  ]);
});

test("what the project says to agents is told to the model", async () => {
  const { client, cwd, model } = await startRunner();
  await writeFile(path.join(cwd, "AGENTS.md"), "Always write tests.");
  await client.start({ runId: "run_1", ...base, prompt: "SCN:text", cwd });
  expect(messageOf(await client.events("run_1"))?.state).toBe("done");
  expect(JSON.stringify(model.requests[0]?.body)).toContain("Always write tests.");
});

function use(tool: string, input: object): string {
  return `SCN:tool:${tool} INPUT:${JSON.stringify(input)}`;
}

function conversationOf(events: Parameters<typeof ofType>[0]): string {
  const id = ofType(events, "run.status").findLast(({ data }) => data.conversationId !== undefined)?.data
    .conversationId;
  if (id === undefined) throw new Error("the run named no conversation");
  return id;
}
