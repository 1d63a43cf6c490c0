/** Other real agents over the same protocol, each with what sets it apart: OpenCode and Codex. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { MODEL_FAILURES } from "./adapter-contract.ts";
import { processesIn } from "./support/processes.ts";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sharedRunner, startRunner } from "./support/runner-process.ts";

const shared = sharedRunner();

const failuresOf = (...prompts: string[]) => MODEL_FAILURES.filter(({ prompt }) => prompts.includes(prompt));

const agents = [
  {
    agent: "opencode",
    file: "some words\n",
    url: "/provider/openai/chat/completions",
    // It makes room by itself where the context is full.
    failures: failuresOf("SCN:error:401", "SCN:error:500", "SCN:empty"),
  },
  {
    agent: "codex-acp",
    file: "some words\n",
    url: "/provider/openai/responses",
    failures: MODEL_FAILURES,
  },
];

describe.each(agents)("$agent", ({ agent, file, url, failures }) => {
  test("works, keeps a plan, and goes on with the conversation in another runner", async () => {
    const { client, cwd, model, process, again } = await startRunner();
    const order = { provider: "acp", cwd, providerOptions: { agent } } as const;
    const prompt = `MARKER-ONE SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`;
    await client.start({ runId: "run_1", ...order, prompt });
    const first = await client.events("run_1");
    expect(finishedOf(first)).toMatchObject({ outcome: "succeeded", usage: { outputTokens: expect.any(Number) } });
    expect(await readFile(path.join(cwd, "made.txt"), "utf8")).toBe(file);
    expect(JSON.stringify(toolsOf(first)[0])).toContain("+some words");
    expect(ofType(first, "message.stop")[0]?.data.text).toContain("The file is written.");
    for (const { url: asked, headers } of model.requests) {
      expect(asked).toBe(url);
      expect(headers.authorization).toBe("Bearer gantry-adds-the-key");
    }
    process.kill("SIGKILL");
    const conversationId = ofType(first, "run.status").find(({ data }) => data.conversationId)?.data.conversationId;
    expect(conversationId).toMatch(new RegExp(`^${agent}:`));
    const next = await again();
    await next.client.start({ runId: "run_2", ...order, prompt: "SCN:history MARKER-TWO", conversationId });
    const second = await next.client.events("run_2");
    expect(ofType(second, "message.stop")[0]?.data.text).toContain("MARKER-ONE MARKER-TWO");
    // The history that the agent tells again is not said again.
    expect(JSON.stringify(second)).not.toContain("The file is written.");
    await next.client.start({ runId: "run_3", ...order, prompt: "SCN:todo", conversationId });
    const statuses = ofType(await next.client.events("run_3"), "todo.update").at(-1)?.data.items;
    expect(statuses?.map(({ status }) => status)).toEqual(["completed", "in_progress", "pending"]);
  });

  test("stopping ends what it has started", async () => {
    const { client, cwd } = await startRunner();
    const order = { provider: "acp", cwd, providerOptions: { agent } } as const;
    await client.start({ runId: "run_1", ...order, prompt: "SCN:bash-hang" });
    await client.first("run_1", "message.delta", ({ data }) =>
      data.chunks.some((chunk) => chunk.type === "tool-input-available"),
    );
    await expect.poll(() => processesIn(cwd)).toContainEqual(expect.stringContaining("tail -f"));
    await client.stop("run_1");
    expect(finishedOf(await client.events("run_1"))).toMatchObject({ outcome: "cancelled" });
    expect(await processesIn(cwd)).toEqual([]);
  });

  test.each(failures)("[R-5.7] $prompt fails as $reason, and not in the assistant's words", async (failure) => {
    const { client, cwd, runId } = await shared();
    await client.start({ runId, provider: "acp", cwd, providerOptions: { agent }, prompt: failure.prompt });
    const events = await client.events(runId);
    const { reason } = failure;
    expect(finishedOf(events)).toMatchObject({ outcome: "failed", reason, evidence: expect.stringMatching(/\S/) });
    expect(ofType(events, "message.stop")[0]?.data.text ?? "").not.toMatch(/scripted|status|demand|room/);
  });
});

test("in ask mode a refused command of OpenCode does not happen, and the reason reaches the agent", async () => {
  const { client, cwd, model } = await startRunner();
  const providerOptions = { agent: "opencode", permissionMode: "ask" };
  await client.start({ runId: "run_1", provider: "acp", cwd, providerOptions, prompt: 'SCN:bash CMD:"touch made"' });
  const { data } = await client.first("run_1", "human_loop.requested");
  expect(data).toMatchObject({ kind: "permission", detail: { command: "touch made" }, rule: "bash(touch made)" });
  await client.reply("run_1", { requestId: data.requestId, decision: "deny", reason: "leave it" });
  await client.events("run_1");
  expect(JSON.stringify(model.requests.at(-1)?.body)).toContain("leave it");
  await expect(readFile(path.join(cwd, "made"))).rejects.toThrow("ENOENT");
});
