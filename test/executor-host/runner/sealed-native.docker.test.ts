/** Gantry's own agent inside a sealed container: engine → runner → forwarder → egress proxy → model server. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sealedWorker } from "./support/sealed-worker.ts";

const order = { provider: "native", model: "anthropic/fake", cwd: "/workspace" } as const;
const worker = sealedWorker((url, key) => ({
  ...{ ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: key },
  ...{ OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key },
}));

test.each(["anthropic/fake", "openai/fake", "compatible/fake"])(
  "[R-2.5] %s: the agent works with a key that it never sees",
  async (named) => {
    const { client, key, model, workspaceDir } = worker;
    const name = named.split("/")[0];
    const prompt = `SCN:write-file FILE:/workspace/${name}.txt TEXT:"from the container"`;
    await client.start({ runId: `run_${name}`, ...order, model: named, prompt });
    const events = await client.events(`run_${name}`);
    expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
    expect(await readFile(path.join(workspaceDir, `${name}.txt`), "utf8")).toBe("from the container");
    const { authorization, "x-api-key": header } = model.requests.at(-1)?.headers ?? {};
    expect(header ?? authorization?.replace("Bearer ", "")).toBe(key);
    expect(JSON.stringify(events)).not.toContain(key);
  },
);

test("its commands run as nobody in particular, and its tools find what they need in a plain image", async () => {
  const { client } = worker;
  await client.start({ runId: "run_2", ...order, prompt: 'SCN:bash CMD:"id -u; pwd"' });
  expect(JSON.stringify(toolsOf(await client.events("run_2"))[0]?.output)).toMatch(/"(?!0)\d+\\n\/workspace/);
  const prompt = 'SCN:tool:search INPUT:{"pattern":"from the cont"}';
  await client.start({ runId: "run_3", ...order, prompt });
  expect(JSON.stringify(toolsOf(await client.events("run_3"))[0]?.output)).toContain("anthropic.txt:1:");
});

test("a conversation goes on from what lies in the workspace", async () => {
  const { client } = worker;
  await client.start({ runId: "run_4", ...order, prompt: "SCN:think MARKER-SEALED" });
  const status = ofType(await client.events("run_4"), "run.status").find(({ data }) => data.conversationId);
  const conversationId = status?.data.conversationId;
  await client.start({ runId: "run_5", ...order, prompt: "SCN:history", conversationId });
  expect(ofType(await client.events("run_5"), "message.stop")[0]?.data.text).toContain("MARKER-SEALED");
});
