/** OpenCode the whole way inside a sealed container: engine → runner → real CLI → forwarder → egress proxy → model server. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sealedWorker } from "./support/sealed-worker.ts";

const order = { provider: "opencode", cwd: "/workspace" } as const;
const worker = sealedWorker((url, key) => ({ OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: key }));

test("[R-2.5] the agent works with a key that it never sees", async () => {
  const { client, key, model, workspaceDir } = worker;
  const prompt = 'SCN:write-file FILE:/workspace/made.txt TEXT:"from the container"';
  await client.start({ runId: "run_1", ...order, prompt });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(await readFile(path.join(workspaceDir, "made.txt"), "utf8")).toBe("from the container\n");
  const keys = model.requests.map(({ headers }) => headers.authorization);
  expect(new Set(keys)).toEqual(new Set([`Bearer ${key}`]));
  expect(JSON.stringify(events)).not.toContain(key);
});

test("its commands run as nobody in particular, in the workspace", async () => {
  const { client } = worker;
  await client.start({ runId: "run_2", ...order, prompt: 'SCN:bash CMD:"id -u; pwd"' });
  const output = JSON.stringify(toolsOf(await client.events("run_2"))[0]?.output);
  expect(output).toMatch(/"(?!0)\d+(\\r)?\\n\/workspace/);
});

test("a conversation goes on from what lies in the workspace", async () => {
  const { client } = worker;
  await client.start({ runId: "run_3", ...order, prompt: "SCN:think MARKER-SEALED" });
  const status = ofType(await client.events("run_3"), "run.status").find(({ data }) => data.conversationId);
  await client.start({
    runId: "run_4",
    ...order,
    prompt: "SCN:history",
    conversationId: status?.data.conversationId,
  });
  expect(ofType(await client.events("run_4"), "message.stop")[0]?.data.text).toContain("MARKER-SEALED");
});

test("stopping a command that hangs ends it in there", async () => {
  const { client } = worker;
  await client.start({ runId: "run_5", ...order, prompt: "SCN:bash-hang" });
  await client.first("run_5", "message.delta", ({ data }) =>
    data.chunks.some(({ type }) => type === "tool-input-available"),
  );
  await client.stop("run_5");
  expect(finishedOf(await client.events("run_5"))).toMatchObject({ outcome: "cancelled" });
  const look = "grep -lzsx '[t]ail' /proc/[0-9]*/cmdline | wc -l";
  await client.start({ runId: "run_6", prompt: `bash ${look}`, cwd: "/workspace" });
  expect(toolsOf(await client.events("run_6"))[0]?.output).toEqual({ exitCode: 0, output: "0\n" });
});
