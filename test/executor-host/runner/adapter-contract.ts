/**
 * What holds for every provider (adapters/adapter.ts, R-5.3, R-5.9, R-6.3). Each behaviour is asked for in the provider's own
 * way: a script, or a scenario of the fake model server.
 */
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { CAPABILITIES, type Capability, capabilitiesOf, capabilityRefusal } from "#protocol/capabilities.ts";
import type { GivenAnswer, RunEvent } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { FailureReason, Provider } from "#protocol/vocabulary.ts";
import { promptAfterParking } from "../../../durable/session/parking.ts";
import { processesIn } from "./support/processes.ts";
import { conversationOf, finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import { type RunnerUnderTest, sharedRunner, startRunner } from "./support/runner-process.ts";

export type Prompts = {
  /** What every run of this suite is given besides its prompt. */
  order?: Partial<ProviderRunStart>;
  /** Says "hello world" and nothing else. */
  text: string;
  thought: string;
  /** Writes `content` to made.txt in `cwd`. */
  write: (cwd: string) => string;
  content: string;
  /** Runs `printf 'from the shell'`. */
  command: string;
  /** One item each: completed, in_progress, pending. */
  todo: string;
  /** Asks "Which colour?" with Red and Blue. */
  question: string;
  /** Says something, then does nothing any more. */
  hang: string;
  /** Starts a shell that never ends. */
  commandHang: string;
  usage: { prompt: string; inputTokens: number; outputTokens: number };
  /** Asks for leave, in ask mode, to run `touch made`; asks for it once more when it was interrupted. */
  leave: string;
  failures: readonly { prompt: string; reason: FailureReason }[];
  /** A program that stays for the next run. */
  kept?: string;
};

/** How a model server misbehaves, and what a run says of it: the same for every provider that talks to one. */
export const MODEL_FAILURES: Prompts["failures"] = [
  { prompt: "SCN:error:401", reason: "auth_rejected" },
  { prompt: "SCN:error:403", reason: "auth_rejected" },
  { prompt: "SCN:error:404", reason: "model_not_found" },
  { prompt: "SCN:error:429", reason: "rate_limited" },
  { prompt: "SCN:error:500", reason: "overloaded" },
  { prompt: "SCN:error:529", reason: "overloaded" },
  { prompt: "SCN:cut", reason: "overloaded" },
  { prompt: "SCN:empty", reason: "provider_no_output" },
  { prompt: "SCN:too-long", reason: "context_exceeded" },
];

/** Which providers need a program that an operator may not have installed. */
const NEEDS_PROGRAM: readonly Provider[] = ["claude-code", "codex-app-server", "opencode", "acp"];

export function describeAdapter(provider: Provider, prompts: Prompts): void {
  type Prompt = string | ((cwd: string) => string);
  const shared = sharedRunner();
  const run = async (prompt: Prompt, more: Partial<ProviderRunStart> = {}) => {
    const runner = await shared();
    const { client, cwd, runId } = runner;
    const text = typeof prompt === "string" ? prompt : prompt(cwd);
    const answer = await client.start({ ...prompts.order, runId, provider, prompt: text, cwd, ...more });
    expect(answer).toMatchObject({ status: 202 });
    return runner;
  };
  // Of one run different things are to be seen: what was run once is read again.
  type Ended = RunnerUnderTest & { runId: string; events: RunEvent[] };
  const ended = new Map<Prompt, Ended>();
  const runToEnd = async (prompt: Prompt): Promise<Ended> => {
    const known = ended.get(prompt);
    if (known !== undefined) return known;
    const runner = await run(prompt);
    const all = { ...runner, events: await runner.client.events(runner.runId) };
    ended.set(prompt, all);
    return all;
  };

  const agent = prompts.order?.providerOptions?.agent;
  const can = capabilitiesOf(provider, typeof agent === "string" ? agent : undefined);

  /** What is not claimed is not tried: a run that requires it is refused before it begins. */
  const testOf = (capability: Capability, name: string, proof: () => Promise<void>) => {
    if (can[capability]) test(name, proof);
  };

  // A real CLI takes seconds to start, and many more on a busy machine.
  describe(`adapter contract: ${provider}`, { timeout: 120_000 }, () => {
    test("says text: deltas, one message.stop with the text, one run.finished at the end", async () => {
      const { events } = await runToEnd(prompts.text);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      expect(events[0]).toEqual({ type: "run.status", data: { state: "running" } });
      const [stop, ...more] = ofType(events, "message.stop");
      expect(more).toEqual([]);
      expect(stop?.data.text.trim()).toBe("hello world");
      expect(messageOf(events)).toMatchObject({ id: stop?.data.messageId, state: "done" });
    });

    testOf("reasoning", "[R-6.4] shows reasoning as parts of its own", async () => {
      const { events } = await runToEnd(prompts.thought);
      expect(messageOf(events)?.parts.map(({ type }) => type)).toContain("reasoning");
    });

    test("writes a file in the workspace and shows the tool with input and output", async () => {
      const { events, cwd } = await runToEnd(prompts.write);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      expect(await readFile(path.join(cwd, "made.txt"), "utf8")).toBe(prompts.content);
      const [tool] = toolsOf(events);
      expect(tool).toMatchObject({ toolName: expect.stringMatching(/write|patch/i), state: "output-available" });
      expect(JSON.stringify(tool?.input)).toContain("made.txt");
    });

    test("runs a command and shows what it printed", async () => {
      const { events } = await runToEnd(prompts.command);
      expect(JSON.stringify(toolsOf(events)[0]?.output)).toContain("from the shell");
    });

    testOf("todos", "[R-6.4] shows the to-do list", async () => {
      const { events } = await runToEnd(prompts.todo);
      const statuses = ofType(events, "todo.update")
        .at(-1)
        ?.data.items.map(({ status }) => status);
      expect(statuses).toEqual(["completed", "in_progress", "pending"]);
    });

    testOf("questions", "[R-6.4] asks people and goes on with their answer", async () => {
      const { client, runId } = await run(prompts.question);
      const { data } = await client.first(runId, "human_loop.requested");
      expect(data).toMatchObject({ kind: "question", title: "Which colour?" });
      const blue = data.options.find(({ label }) => label === "Blue");
      const reply = { requestId: data.requestId, decision: "answer", answers: [blue?.id] };
      expect(await client.reply(runId, reply)).toMatchObject({ status: 200 });
      expect(await client.reply(runId, reply)).toMatchObject({ status: 409, body: { reason: "already_answered" } });
      const events = await client.events(runId);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      expect(JSON.stringify(messageOf(events))).toContain("Blue");
      expect(ofType(events, "run.status").map(({ data }) => data.state)).toContain("waiting");
      expect(ofType(events, "human_loop.resolved")).toEqual([]);
    });

    testOf("usage", "[R-6.4] records usage once, and the same in run.finished", async () => {
      const { prompt, ...tokens } = prompts.usage;
      const { events } = await runToEnd(prompt);
      const usages = ofType(events, "usage.recorded");
      expect(usages).toHaveLength(1);
      expect(usages[0]?.data).toMatchObject(tokens);
      expect(finishedOf(events).usage).toEqual(usages[0]?.data);
    });

    test("names its conversation", async () => {
      const { events } = await runToEnd(prompts.text);
      expect(ofType(events, "run.status").some(({ data }) => data.conversationId !== undefined)).toBe(true);
    });

    test("[R-6.4] begins a new conversation where it cannot go on with the earlier one, and warns", async () => {
      const { client, runId } = await run(prompts.text, { conversationId: "an-earlier-one" });
      const events = await client.events(runId);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      const said = ofType(events, "run.status").map(({ data }) => data);
      expect(said).toContainEqual(
        expect.objectContaining({ warning: true, detail: expect.stringContaining("begins a new one") }),
      );
      expect(said.flatMap(({ conversationId }) => conversationId ?? [])).not.toContain("an-earlier-one");
    });

    testOf(
      "interrupt",
      "[R-5.3] a stopped run ends as cancelled, without an error, and takes its message along",
      async () => {
        const { client, runId } = await run(prompts.hang);
        await client.first(runId, "message.delta");
        expect(await client.stop(runId)).toMatchObject({ status: 202 });
        const events = await client.events(runId);
        expect(finishedOf(events)).toMatchObject({ outcome: "cancelled" });
        expect(JSON.stringify(events)).not.toContain('"type":"error"');
        expect(ofType(events, "message.stop")).toHaveLength(1);
      },
    );

    test("stopping ends the programs that the run started", async () => {
      const { client, cwd, runId } = await run(prompts.commandHang);
      await client.first(runId, "message.delta", ({ data }) =>
        data.chunks.some((chunk) => chunk.type === "tool-input-available"),
      );
      await expect.poll(() => processesIn(cwd)).toContainEqual(expect.stringContaining("tail -f"));
      await client.stop(runId);
      expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "cancelled" });
      const left = (await processesIn(cwd)).filter((command) => !prompts.kept || !command.includes(prompts.kept));
      expect(left).toEqual([]);
    });

    test("a run that takes too long is timed_out, not failed", async () => {
      const { client, runId } = await run(prompts.hang, { timeoutMs: 1_000 });
      expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "timed_out", reason: "timeout" });
    });

    test("a stop while people are asked resolves the question as cancelled", async () => {
      const { client, runId } = await run(prompts.question);
      const { data } = await client.first(runId, "human_loop.requested");
      await client.stop(runId);
      const events = await client.events(runId);
      expect(finishedOf(events)).toMatchObject({ outcome: "cancelled" });
      expect(ofType(events, "human_loop.resolved").map((event) => event.data)).toEqual([
        { requestId: data.requestId, decision: "cancelled" },
      ]);
    });

    test("the stream gives the same events from every cursor, and runs follow one another", async () => {
      const { client, runId, events } = await runToEnd(prompts.write);
      for (let cursor = 0; cursor <= events.length; cursor++) {
        expect(await client.events(runId, { cursor })).toEqual(events.slice(cursor));
        expect(await client.events(runId, { lastEventId: String(cursor) })).toEqual(events.slice(cursor));
      }
      const next = await run(prompts.text);
      expect(finishedOf(await client.events(next.runId))).toMatchObject({ outcome: "succeeded" });
    });

    test("[S-41] interrupted while it asks for leave, it goes on in its conversation, and is not asked again", async () => {
      const { client, cwd, process, again } = await startRunner();
      const providerOptions = { ...prompts.order?.providerOptions, permissionMode: "ask" };
      const order = { ...prompts.order, provider, cwd, providerOptions };
      await client.start({ ...order, runId: "run_1", prompt: prompts.leave });
      const { data } = await client.first("run_1", "human_loop.requested");
      const { kind, title, rule } = data;
      const first = client.events("run_1");
      process.kill("SIGTERM");
      await once(process, "exit");
      expect(await readdir(cwd)).not.toContain("made");
      const given: GivenAnswer[] = [{ kind, title, rule, decision: "allow", scope: "once" }];
      const { client: later } = await again();
      const conversationId = conversationOf(await first);
      const prompt = promptAfterParking(given);
      await later.start({ ...order, runId: "run_1-p1", prompt, given, conversationId });
      const events = await later.events("run_1-p1");
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      expect(conversationOf(events)).toBe(conversationId);
      expect(ofType(events, "human_loop.requested")).toEqual([]);
      expect(await readdir(cwd)).toContain("made");
    });

    test("[R-6.4] refuses a run that requires what it does not claim, by name", () => {
      const wanted = { provider, providerOptions: prompts.order?.providerOptions };
      const lacking = CAPABILITIES.filter((capability) => !can[capability]);
      expect(lacking).not.toEqual([]);
      for (const capability of CAPABILITIES) {
        const refusal = capabilityRefusal({ ...wanted, requires: [capability] });
        expect(refusal?.details.missing ?? [], capability).toEqual(can[capability] ? [] : [capability]);
      }
    });

    if (NEEDS_PROGRAM.includes(provider))
      test("[R-5.7] a program that is not installed: cli_missing", async () => {
        const { client, cwd } = await startRunner({ toolkit: async () => {} });
        await client.start({ ...prompts.order, runId: "run_1", provider, prompt: prompts.text, cwd });
        const finished = finishedOf(await client.events("run_1"));
        expect(finished).toMatchObject({ outcome: "failed", reason: "cli_missing" });
        expect(finished.evidence).toContain("The Hosts page shows the command");
      });

    test.each(prompts.failures)("[R-5.7] $prompt fails as $reason", async ({ prompt, reason }) => {
      const { events } = await runToEnd(prompt);
      expect(finishedOf(events)).toMatchObject({ outcome: "failed", reason, evidence: expect.stringMatching(/\S/) });
    });
  });
}
