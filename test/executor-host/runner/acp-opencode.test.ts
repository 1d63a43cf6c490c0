/** OpenCode over the Agent Client Protocol: the real agent against the fake model server. */
import { expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { describeAdapter, EACH_FAILURE, SCENARIOS, THOUGHT } from "./adapter-contract.ts";
import { finishedOf, toolsOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const worker = sharedWorker();
const order = { provider: "acp", providerOptions: { agent: "opencode" } } as const;

describeAdapter(worker, "acp", {
  ...SCENARIOS,
  order,
  content: "some words\n", // its newest models write patches, which are made of whole lines
  usage: { prompt: THOUGHT, inputTokens: 1_200, outputTokens: 34 },
  lost: "opencode:ses_00000000000000000000000000",
  // It makes room by itself when the context is full.
  failures: EACH_FAILURE.filter(({ prompt }) => prompt !== "SCN:too-long"),
  kept: "opencode acp",
});

/** What the agent's shell prints as its parent is the agent's program. */
const PROGRAM = 'SCN:bash CMD:"echo program=$PPID"';
const programOf = (events: RunEvent[]) => /program=(\d+)/.exec(JSON.stringify(toolsOf(events)[0]?.output))?.[1];

test("a program that answered everything serves the next run, also after a stop", async () => {
  const start = async (prompt: string) => {
    const { client, cwd, runId } = await worker.next();
    await client.start({ runId, ...order, prompt, cwd });
    return { client, runId };
  };
  const program = async () => {
    const { client, runId } = await start(PROGRAM);
    return programOf(await client.events(runId));
  };
  const first = await program();
  expect(first).toMatch(/^\d+$/);
  const { client, runId } = await start("SCN:hang");
  await client.first(runId, "message.delta");
  await client.stop(runId);
  expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "cancelled" });
  expect(await program()).toBe(first);
});
