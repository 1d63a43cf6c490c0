/** What the adapters' contract, which runs in containers like this one, does not ask: the way out, and running out of memory. */
import { describe, expect, test } from "vitest";
import { exitEvidence } from "../../../executor-host/session/failure.ts";
import { finishedOf, toolsOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

const worker = sharedWorker();
const order = { provider: "claude-code", cwd: "/workspace" } as const;

test("[R-2.4] its commands find no way out but the proxy", async () => {
  const { client, runId } = await worker.next();
  const command = "(exec 3<>/dev/tcp/1.1.1.1/443) 2>&1; echo proxy=$HTTPS_PROXY";
  await client.start({ runId, ...order, prompt: `SCN:bash CMD:"${command}"` });
  const output = JSON.stringify(toolsOf(await client.events(runId))[0]?.output);
  expect(output).toMatch(/unreachable.*proxy=http:\/\/127\.0\.0\.1:\d+/);
});

describe("[R-5.7] out of memory", () => {
  /** Takes memory until somebody is killed for it: the largest, or who is named to the kernel as the first to go. */
  const EATS = "tail /dev/zero";
  // Among several, none is so large that it goes before the one that is named.
  const SHARED = Array(4).fill(EATS).join(" & ");
  const first = "echo 1000 > /proc";

  test("a command that takes too much is killed, the agent is told, and the run goes on", async () => {
    const { client, runId } = await worker.next();
    const prompt = `SCN:bash CMD:"${EATS}; echo exit=$?"`;
    await client.start({ runId, ...order, prompt });
    const events = await client.events(runId);
    expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
    expect(JSON.stringify(toolsOf(events)[0]?.output)).toContain("exit=137");
  });

  test("where the kernel takes the CLI instead, the run fails as container_failed, and the next one works", async () => {
    const { client, runId } = await worker.next();
    const prompt = `SCN:bash CMD:"${first}/$PPID/oom_score_adj; ${SHARED}"`;
    await client.start({ runId, ...order, prompt });
    expect(finishedOf(await client.events(runId))).toMatchObject({
      outcome: "failed",
      reason: "container_failed",
      evidence: expect.stringContaining("SIGKILL"),
    });
    const { runId: next } = await worker.next();
    await client.start({ runId: next, ...order, prompt: "SCN:say:hello" });
    expect(finishedOf(await client.events(next))).toMatchObject({ outcome: "succeeded" });
  });

  // The last one: it leaves no worker.
  test("where it takes the runner, the worker's end says why", async () => {
    const { client, exited, runId } = await worker.next();
    const runner = "$(cut -d' ' -f4 /proc/$PPID/stat)"; // the CLI's parent
    const prompt = `SCN:bash CMD:"${first}/${runner}/oom_score_adj; ${SHARED}"`;
    await client.start({ runId, ...order, prompt });
    expect(exitEvidence(await exited)).toContain("ran out of memory");
  });
});
