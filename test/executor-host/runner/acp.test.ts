/** What holds for any agent of the protocol, with a peer that does odd things on purpose, configured as an operator's own. */
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { finishedOf, ofType } from "./support/read.ts";
import { startRunner } from "./support/runner-process.ts";

const provider = "acp";
const AGENT = path.resolve(import.meta.dirname, "../../support/acp-agent.mjs");

/** A runner with a toolkit of its own, in which this agent is the operator's. */
async function startOdd() {
  const runner = await startRunner({
    toolkit: async (dir) => {
      const env = { MODEL_URL: "{provider:openai}", FOLDER: "{folder}" };
      const odd = { command: process.execPath, args: [AGENT], env };
      await writeFile(path.join(dir, "acp-agents.json"), JSON.stringify({ odd }));
    },
  });
  const run = async (prompt: string, runId = "run_1") => {
    await runner.client.start({ runId, provider, prompt, cwd: runner.cwd });
    return runner.client.events(runId);
  };
  return { ...runner, run };
}

test("log lines, unknown messages and unknown content are passed over", async () => {
  const { run } = await startOdd();
  const events = await run("noise");
  expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
  expect(textOf(events)).toBe('"something/unknown is not known here."');
});

test("what it may have done for it stays in the workspace, and its terminals end with the run", async () => {
  const { run, cwd } = await startOdd();
  const outside = textOf(await run("outside"));
  expect(outside.match(/is outside the working directory/g)).toHaveLength(3);
  expect(outside).toContain('{"content":"two"}');
  expect(await readdir(path.join(cwd, ".."))).not.toContain("out.txt");
  const terminal = textOf(await run("terminal", "run_2"));
  expect(terminal).toContain(
    '{"exitCode":3,"signal":null}{"output":"out\\n","truncated":false,"exitStatus":{"exitCode":3',
  );
  expect(terminal).toContain("There is no terminal");
});

test("a form is asked field by field, and answered as its fields want it", async () => {
  const { client, cwd } = await startOdd();
  await client.start({ runId: "run_1", provider, prompt: "form", cwd });
  const answers: string[][] = [["1"], ["1", "2"]];
  const seen: string[] = [];
  for (const answer of answers) {
    const { data } = await client.first("run_1", "human_loop.requested", ({ data }) => !seen.includes(data.requestId));
    seen.push(data.requestId);
    await client.reply("run_1", { requestId: data.requestId, decision: "answer", answers: answer });
  }
  expect(textOf(await client.events("run_1"))).toBe('{"action":"accept","content":{"sure":true,"many":["a","b"]}}');
});

test("[R-5.7] an agent that dies, one that says nothing, and one that nobody knows fail by name", async () => {
  const { client, cwd, run } = await startOdd();
  const crashed = finishedOf(await run("crash"));
  expect(crashed).toMatchObject({ outcome: "failed", reason: "container_failed" });
  expect(crashed.evidence).toContain("last words of the agent");
  expect(finishedOf(await run("silent", "run_2"))).toMatchObject({ outcome: "failed", reason: "provider_no_output" });
  await client.start({ runId: "run_3", provider, prompt: "x", cwd, providerOptions: { agent: "nobody" } });
  const unknown = finishedOf(await client.events("run_3"));
  expect(unknown).toMatchObject({ outcome: "failed", reason: "cli_missing" });
  expect(unknown.evidence).toContain("odd, claude-agent-acp, opencode, codex-acp");
});

test("the operator's words are filled in, and the agent gets nothing of the host's environment", async () => {
  const { run, cwd } = await startOdd();
  const said = JSON.parse(textOf(await run("env")));
  expect(said).toEqual({
    url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+\/provider\/openai$/),
    folder: path.join(cwd, ".gantry/agent/acp-odd"),
  });
});

test("an agent that cannot go on with a conversation begins a new one, and that is said", async () => {
  const { client, cwd } = await startOdd();
  for (const [runId, conversationId] of [
    ["run_1", "odd:s0"],
    ["run_2", "opencode:ses_1"],
  ] as const) {
    await client.start({ runId, provider, prompt: "noise", cwd, conversationId });
    const details = ofType(await client.events(runId), "run.status").map(({ data }) => data.detail ?? "");
    expect(details).toContainEqual(expect.stringContaining("begins a new one"));
  }
});

function textOf(events: Parameters<typeof ofType>[0]): string {
  return ofType(events, "message.stop")[0]?.data.text ?? "";
}
