/**
 * The whole way inside a sealed container: engine → runner → real CLI → forwarder → the host's egress proxy, which adds the
 * key → model server.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { exitEvidence } from "../../../executor-host/session/failure.ts";
import { finishedOf, ofType, toolsOf } from "./support/read.ts";
import { sealedWorker } from "./support/sealed-worker.ts";

const worker = sealedWorker((url, key) => ({ ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: key }));

test("the runner can drive Claude Code in there", async () => {
  const { client } = worker;
  const { body } = await client.get("/health");
  expect(body.providers).toMatchObject({ scripted: {}, "claude-code": { version: expect.any(String) } });
});

test("[R-2.5] the agent works with a key that it never sees", async () => {
  const { client, key, model } = worker;
  const prompt = 'SCN:write-file FILE:/workspace/made.txt TEXT:"from the container"';
  await client.start({ runId: "run_1", provider: "claude-code", prompt, cwd: "/workspace" });
  const events = await client.events("run_1");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(await readFile(path.join(worker.workspaceDir, "made.txt"), "utf8")).toBe("from the container");
  expect(model.requests.map(({ headers }) => headers["x-api-key"])).toEqual(model.requests.map(() => key));
  expect(JSON.stringify(events)).not.toContain(key);
});

test("its commands run as nobody in particular, in the workspace, and find no way out but the proxy", async () => {
  const { client } = worker;
  const command = "id -u; pwd; (exec 3<>/dev/tcp/1.1.1.1/443) 2>&1; echo proxy=$HTTPS_PROXY";
  await client.start({
    runId: "run_2",
    provider: "claude-code",
    prompt: `SCN:bash CMD:"${command}"`,
    cwd: "/workspace",
  });
  const output = JSON.stringify(toolsOf(await client.events("run_2"))[0]?.output);
  expect(output).toMatch(/"(?!0)\d+\\n\/workspace\\n.*unreachable.*proxy=http:\/\/127\.0\.0\.1:\d+/);
});

test("a conversation goes on from what lies in the workspace", async () => {
  const { client } = worker;
  await client.start({ runId: "run_3", provider: "claude-code", prompt: "SCN:think MARKER-SEALED", cwd: "/workspace" });
  const status = ofType(await client.events("run_3"), "run.status").find(({ data }) => data.conversationId);
  const conversationId = status?.data.conversationId;
  const order = { provider: "claude-code", prompt: "SCN:history", cwd: "/workspace", conversationId } as const;
  await client.start({ runId: "run_4", ...order });
  expect(ofType(await client.events("run_4"), "message.stop")[0]?.data.text).toContain("MARKER-SEALED");
});

test("stopping a command that hangs ends it in there", async () => {
  const { client } = worker;
  await client.start({ runId: "run_5", provider: "claude-code", prompt: "SCN:bash-hang", cwd: "/workspace" });
  await client.first("run_5", "message.delta", ({ data }) =>
    data.chunks.some(({ type }) => type === "tool-input-available"),
  );
  await client.stop("run_5");
  expect(finishedOf(await client.events("run_5"))).toMatchObject({ outcome: "cancelled" });
  const look = "grep -lzsx '[t]ail' /proc/[0-9]*/cmdline | wc -l";
  await client.start({ runId: "run_6", prompt: `bash ${look}`, cwd: "/workspace" });
  expect(toolsOf(await client.events("run_6"))[0]?.output).toEqual({ exitCode: 0, output: "0\n" });
});

describe("[R-5.7] out of memory", () => {
  /** Takes memory until somebody is killed for it: the largest, or who is named to the kernel as the first to go. */
  const EATS = "tail /dev/zero";
  // Among several, none is so large that it goes before the one that is named.
  const SHARED = Array(4).fill(EATS).join(" & ");
  const first = "echo 1000 > /proc";

  test("a command that takes too much is killed, the agent is told, and the run goes on", async () => {
    const { client } = worker;
    const prompt = `SCN:bash CMD:"${EATS}; echo exit=$?"`;
    await client.start({ runId: "run_7", provider: "claude-code", prompt, cwd: "/workspace" });
    const events = await client.events("run_7");
    expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
    expect(JSON.stringify(toolsOf(events)[0]?.output)).toContain("exit=137");
  });

  test("where the kernel takes the CLI instead, the run fails as container_failed, and the next one works", async () => {
    const { client } = worker;
    const prompt = `SCN:bash CMD:"${first}/$PPID/oom_score_adj; ${SHARED}"`;
    await client.start({ runId: "run_8", provider: "claude-code", prompt, cwd: "/workspace" });
    expect(finishedOf(await client.events("run_8"))).toMatchObject({
      outcome: "failed",
      reason: "container_failed",
      evidence: expect.stringContaining("SIGKILL"),
    });
    await client.start({ runId: "run_9", provider: "claude-code", prompt: "SCN:say:hello", cwd: "/workspace" });
    expect(finishedOf(await client.events("run_9"))).toMatchObject({ outcome: "succeeded" });
  });

  // The last one: it leaves no worker.
  test("where it takes the runner, the worker's end says why", async () => {
    const { client, exited } = worker;
    const runner = "$(cut -d' ' -f4 /proc/$PPID/stat)"; // the CLI's parent
    const prompt = `SCN:bash CMD:"${first}/${runner}/oom_score_adj; ${SHARED}"`;
    await client.start({ runId: "run_10", provider: "claude-code", prompt, cwd: "/workspace" });
    expect(exitEvidence(await exited)).toContain("ran out of memory");
  });
});
