/** The real CLI against the fake model server. */
import { expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { describeAdapter, SCENARIOS } from "./adapter-contract.ts";
import { finishedOf, toolsOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const provider = "opencode";
const worker = sharedWorker();

describeAdapter(worker, provider, {
  ...SCENARIOS,
  content: "some words\n", // its newest models write patches, which are made of whole lines
  usage: { prompt: "SCN:todo", inputTokens: 2_400, outputTokens: 68 },
  lost: "ses_00000000000000000000000000",
  kept: "opencode serve",
});

test("[R-6.3] what a sub-agent asks is asked, what it brings back is shown, and what it used is counted", async () => {
  const { client, cwd, runId } = await worker.next();
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

test("a server that came to rest serves the next run, but not another model's", async () => {
  const start = async (prompt: string, model?: string) => {
    const { client, cwd, programs, runId } = await worker.next();
    await client.start({ runId, provider, prompt, cwd, model });
    return { client, programs, runId };
  };
  const server = async (model?: string) => {
    const { client, runId } = await start(SERVER, model);
    return serverOf(await client.events(runId));
  };
  const first = await server();
  expect(first).toMatch(/^\d+$/);
  // The model gave up; people stopped what was said, then what a tool did, then what was asked.
  const { client, runId } = await start("SCN:error:500");
  expect(finishedOf(await client.events(runId))).toMatchObject({ reason: "overloaded" });
  for (const prompt of ["SCN:hang", "SCN:bash-hang", "SCN:ask"]) {
    const { client, programs, runId } = await start(prompt);
    if (prompt === "SCN:hang") await client.first(runId, "message.delta");
    else if (prompt === "SCN:ask") await client.first(runId, "human_loop.requested");
    else await expect.poll(programs).toContainEqual(expect.stringContaining("tail -f"));
    await client.stop(runId);
    expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "cancelled" });
    expect(await programs()).toEqual([expect.stringContaining("opencode serve")]);
  }
  expect(await server()).toBe(first);
  expect(await server("another")).not.toBe(first);
});

test("OpenCode's own death in the middle of a turn ends the run", async () => {
  const { client, cwd, runId } = await worker.next();
  await client.start({ runId, provider, prompt: 'SCN:bash CMD:"kill -9 $PPID"', model: "another", cwd });
  const finished = finishedOf(await client.events(runId));
  expect(finished).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(finished.evidence).toContain("SIGKILL");
});
