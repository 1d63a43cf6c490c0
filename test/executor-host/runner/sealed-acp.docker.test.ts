/** An agent of the Agent Client Protocol inside a sealed container: engine → runner → agent → CLI → forwarder → egress proxy. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { finishedOf, ofType } from "./support/read.ts";
import { sealedWorker } from "./support/sealed-worker.ts";

const order = { provider: "acp", cwd: "/workspace", providerOptions: { agent: "claude-agent-acp" } } as const;
const worker = sealedWorker((url, key) => ({ ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: key }));

test("[R-2.5] the agent works with a key that it never sees, and goes on from what lies in the workspace", async () => {
  const { client, key, model, workspaceDir } = worker;
  const prompt = 'SCN:write-file MARKER-SEALED FILE:/workspace/made.txt TEXT:"from the container"';
  await client.start({ runId: "run_1", ...order, prompt });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(await readFile(path.join(workspaceDir, "made.txt"), "utf8")).toBe("from the container");
  expect(new Set(model.requests.map(({ headers }) => headers["x-api-key"]))).toEqual(new Set([key]));
  expect(JSON.stringify(events)).not.toContain(key);
  const conversationId = ofType(events, "run.status").find(({ data }) => data.conversationId)?.data.conversationId;
  await client.start({ runId: "run_2", ...order, prompt: "SCN:history", conversationId });
  expect(ofType(await client.events("run_2"), "message.stop")[0]?.data.text).toContain("MARKER-SEALED");
});
