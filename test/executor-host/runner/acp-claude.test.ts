/** Claude Code over the Agent Client Protocol: the real agent and the real CLI against the fake model server. */
import { expect, test } from "vitest";
import { describeAdapter, EACH_FAILURE, SCENARIOS, THOUGHT } from "./adapter-contract.ts";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const worker = sharedWorker();
const order = { provider: "acp", providerOptions: { agent: "claude-agent-acp" } } as const;

describeAdapter(worker, "acp", {
  ...SCENARIOS,
  order,
  usage: { prompt: THOUGHT, inputTokens: 2_100, outputTokens: 34 },
  failures: EACH_FAILURE,
  lost: "claude-agent-acp:00000000-0000-4000-8000-000000000000",
});

test("[R-6.3] a sub-agent's work is in the stream, below the tool that sent it; an exit code is the command's own", async () => {
  const { client, cwd, runId } = await worker.next();
  await client.start({ runId, ...order, prompt: "SCN:delegate:Agent:general-purpose", cwd });
  const events = await client.events(runId);
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  const [sent, below] = toolsOf(events);
  expect(sent).toMatchObject({ toolName: "Agent", state: "output-available" });
  expect(below).toMatchObject({ toolName: "Bash", output: { exitCode: 0, output: "from below" } });
  const chunks = ofType(events, "message.delta").flatMap(({ data }) => data.chunks);
  const parent = { providerMetadata: { acp: { parentToolCallId: sent?.toolCallId } } };
  expect(chunks).toContainEqual(expect.objectContaining({ toolCallId: below?.toolCallId, ...parent }));
});
