/**
 * What holds for every provider (adapters/adapter.ts, R-2.5, R-5.3, R-5.9, R-6.3), each in a worker as the daemon starts it: its
 * real CLI in a sealed container. Each behaviour is asked for in the provider's own way: a script, or a scenario of the fake
 * model server. What needs another CLI process than the tests before stands together, at the end.
 */
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { CAPABILITIES, type Capability, capabilitiesOf, capabilityRefusal } from "#protocol/capabilities.ts";
import type { GivenAnswer, RunEvent } from "#protocol/events.ts";
import type { ProviderRunStart } from "#protocol/runner-api.ts";
import type { FailureReason, Provider } from "#protocol/vocabulary.ts";
import { promptAfterParking } from "../../../durable/session/parking.ts";
import { conversationOf, finishedOf, messageOf, ofType, toolsOf } from "./support/read.ts";
import type { SharedWorker, WorkerInTest } from "./support/shared-worker.ts";

export type Prompts = {
  /** What every run of this suite is given besides its prompt. */
  order?: Partial<ProviderRunStart>;
  /** Says "hello world" and nothing else. */
  text: string;
  thought: string;
  /** Writes `content` to made.txt in `cwd`. */
  write: (cwd: string) => string;
  content: string;
  /** Runs `printf 'from the shell'; exit 3`. */
  command: string;
  /** Runs `id -u; pwd; env`; ends with a line of its own. */
  look: string;
  /** One item each: completed, in_progress, pending. */
  todo: string;
  /** Asks "Which colour?" with Red and Blue. */
  question: string;
  /** Says something, then does nothing any more. */
  hang: string;
  /** Starts a shell that never ends. */
  commandHang: string;
  usage: { prompt: string; inputTokens: number; outputTokens: number };
  /** Asks for leave, in ask mode, to run `touch made`. */
  leave: string;
  /** Asks for leave, in ask mode, to run `touch again`, and once more when it was interrupted. */
  again: string;
  /** Asks for leave, in ask mode, to write "new words" to fresh.txt. */
  refused?: (cwd: string) => string;
  /** Is told MARKER-ONE, and says what it was told before. Where a provider can resume. */
  told?: { prompt: string; history: string };
  /** The name of a conversation that was never had here. */
  lost?: string;
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

/** One of each reason: how they are told differs from agent to agent, not from status to status. */
const TOLD_ALIKE = ["SCN:error:403", "SCN:error:529", "SCN:cut"];
export const EACH_FAILURE = MODEL_FAILURES.filter(({ prompt }) => !TOLD_ALIKE.includes(prompt));

/** Is a thought, uses tokens, and is remembered: what was run once is read again. */
export const THOUGHT = "SCN:think MARKER-ONE";

/** What most of them are asked: scenarios of the fake model. */
export const SCENARIOS = {
  text: "SCN:say:hello:world",
  thought: THOUGHT,
  write: (cwd: string) => `SCN:write-file FILE:${cwd}/made.txt TEXT:"some words"`,
  content: "some words",
  command: `SCN:bash CMD:"printf 'from the shell'; exit 3"`,
  look: 'SCN:bash CMD:"id -u; pwd; env"\nin a second line',
  todo: "SCN:todo",
  question: "SCN:ask",
  hang: "SCN:hang MARKER-STOPPED",
  commandHang: "SCN:bash-hang",
  leave: 'SCN:bash CMD:"touch made"',
  again: 'SCN:insist CMD:"touch again"',
  refused: (cwd: string) => `SCN:write-file FILE:${cwd}/fresh.txt TEXT:"new words"`,
  told: { prompt: THOUGHT, history: "SCN:history MARKER-TWO" },
  failures: MODEL_FAILURES,
} as const satisfies Partial<Prompts>;

export function describeAdapter(worker: SharedWorker, provider: Provider, prompts: Prompts): void {
  type Prompt = string | ((cwd: string) => string);
  const run = async (prompt: Prompt, more: Partial<ProviderRunStart> = {}) => {
    const runner = await worker.next();
    const { client, cwd, runId } = runner;
    const text = typeof prompt === "string" ? prompt : prompt(cwd);
    const answer = await client.start({ ...prompts.order, runId, provider, prompt: text, cwd, ...more });
    expect(answer).toMatchObject({ status: 202 });
    return { ...runner, runId: more.runId ?? runId };
  };
  // Of one run different things are to be seen: what was run once is read again.
  type Ended = WorkerInTest & { runId: string; events: RunEvent[] };
  const ended = new Map<Prompt, Ended>();
  const runToEnd = async (prompt: Prompt): Promise<Ended> => {
    const known = ended.get(prompt);
    if (known !== undefined) return known;
    const runner = await run(prompt);
    const all = { ...runner, events: await runner.client.events(runner.runId) };
    ended.set(prompt, all);
    return all;
  };

  const ask = { ...prompts.order?.providerOptions, permissionMode: "ask" };
  const agent = prompts.order?.providerOptions?.agent;
  const LOST = prompts.lost ?? "00000000-0000-4000-8000-000000000000";
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
      const { events, workspaceDir } = await runToEnd(prompts.write);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      expect(await readFile(path.join(workspaceDir, "made.txt"), "utf8")).toBe(prompts.content);
      const [tool] = toolsOf(events);
      expect(tool).toMatchObject({ toolName: expect.stringMatching(/write|patch|edit/i), state: "output-available" });
      expect(JSON.stringify(tool?.input)).toContain("made.txt");
      expect(JSON.stringify([tool?.input, tool?.output])).toContain("some words");
    });

    test("[R-2.5] works with a key that it never sees, as nobody in particular, in the workspace", async () => {
      const { events, cwd, key, model, uid } = await runToEnd(prompts.look);
      const seen = JSON.stringify(toolsOf(events)[0]?.output);
      expect(seen).toMatch(new RegExp(`(?<!\\d)${uid}(\\\\r)?\\\\n${cwd}(\\\\r)?\\\\n`));
      // Of this run, or of the one that its program was started for.
      expect(seen).toMatch(/GANTRY_RUN_MARK=run_\d+\./);
      const sent = model.requests.map(({ headers }) => String(headers["x-api-key"] ?? headers.authorization));
      const keys = new Set(sent.map((value) => value.replace("Bearer ", "")));
      expect([...keys]).toEqual(provider === "scripted" ? [] : [key]);
      expect(JSON.stringify(events)).not.toContain(key);
    });

    if (provider !== "scripted")
      test("gives the model the prompt as it was written", async () => {
        const { model } = await runToEnd(prompts.look);
        const bodies = model.requests.map(({ body }) => JSON.stringify(body));
        // As a text of its own: nothing before it, nothing behind it.
        expect(bodies.some((body) => body.includes(JSON.stringify(prompts.look)))).toBe(true);
      });

    test("[R-6.3] runs a command and shows what it printed and how it ended", async () => {
      const { events } = await runToEnd(prompts.command);
      const [tool] = toolsOf(events);
      const shown = JSON.stringify([tool?.output, tool?.errorText]);
      expect(shown).toContain("from the shell");
      expect(shown).toMatch(/"exitCode":3|exit code 3/i);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
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
      const { client, runId } = await run(prompts.text, { conversationId: LOST });
      const events = await client.events(runId);
      expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
      const said = ofType(events, "run.status").map(({ data }) => data);
      expect(said).toContainEqual(
        expect.objectContaining({ warning: true, detail: expect.stringContaining("begins a new one") }),
      );
      expect(said.flatMap(({ conversationId }) => conversationId ?? [])).not.toContain(LOST);
    });

    testOf(
      "interrupt",
      "[R-5.3] a stopped run ends as cancelled, without an error, and its conversation goes on",
      async () => {
        const { client, runId } = await run(prompts.hang);
        await client.first(runId, "message.delta");
        expect(await client.stop(runId)).toMatchObject({ status: 202 });
        const events = await client.events(runId);
        expect(finishedOf(events)).toMatchObject({ outcome: "cancelled" });
        expect(JSON.stringify(events)).not.toContain('"type":"error"');
        expect(ofType(events, "message.stop")).toHaveLength(1);
        if (!can.resume || !prompts.told) return;
        // What was stopped is known in its conversation, and is not said again.
        const conversationId = conversationOf(events);
        const { runId: next } = await run(prompts.told.history, { conversationId });
        const later = await client.events(next);
        expect(conversationOf(later)).toBe(conversationId);
        const text = ofType(later, "message.stop")[0]?.data.text;
        expect(text).toContain("MARKER-STOPPED MARKER-TWO");
        expect(text).not.toContain("I begin.");
      },
    );

    test("stopping ends the programs that the run started", async () => {
      const { client, programs, runId } = await run(prompts.commandHang);
      await client.first(runId, "message.delta", ({ data }) =>
        data.chunks.some((chunk) => chunk.type === "tool-input-available"),
      );
      await expect.poll(programs).toContainEqual(expect.stringContaining("tail -f"));
      await client.stop(runId);
      expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "cancelled" });
      const left = (await programs()).filter((command) => !prompts.kept || !command.includes(prompts.kept));
      expect(left).toEqual([]);
    });

    test("a run that takes too long is timed_out, not failed", async () => {
      const { client, runId } = await run(prompts.hang, { timeoutMs: 1_000 });
      expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "timed_out", reason: "timeout" });
    });

    testOf("questions", "a stop while people are asked resolves the question as cancelled", async () => {
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

    test("[R-6.4] refuses a run that requires what it does not claim, by name", () => {
      const wanted = { provider, providerOptions: prompts.order?.providerOptions };
      const lacking = CAPABILITIES.filter((capability) => !can[capability]);
      expect(lacking).not.toEqual([]);
      for (const capability of CAPABILITIES) {
        const refusal = capabilityRefusal({ ...wanted, requires: [capability] });
        expect(refusal?.details.missing ?? [], capability).toEqual(can[capability] ? [] : [capability]);
      }
    });

    test.each(prompts.failures)("[R-5.7] $prompt fails as $reason", async ({ prompt, reason }) => {
      const { events } = await runToEnd(prompt);
      expect(finishedOf(events)).toMatchObject({ outcome: "failed", reason, evidence: expect.stringMatching(/\S/) });
    });

    const { refused } = prompts;
    // A script asks about nothing that it does.
    const testOfAsking = (name: string, proof: () => Promise<void>) => {
      if (can.humanLoop && refused) test(`in ask mode ${name}`, proof);
    };

    testOfAsking("people see the whole command, and 'for this session' is asked once", async () => {
      const { client, cwd, workspaceDir, runId } = await run(prompts.leave, { providerOptions: ask });
      const { data } = await client.first(runId, "human_loop.requested");
      expect(data).toMatchObject({ kind: "permission", rule: expect.stringContaining("touch made") });
      expect(data.detail).toMatchObject({ command: expect.stringContaining("touch made"), cwd });
      await client.reply(runId, { requestId: data.requestId, decision: "allow", scope: "session" });
      expect(finishedOf(await client.events(runId))).toMatchObject({ outcome: "succeeded" });
      await rm(path.join(workspaceDir, "made"));
      const { runId: next } = await run(prompts.leave, { providerOptions: ask });
      expect(ofType(await client.events(next), "human_loop.requested")).toEqual([]);
      expect(await readdir(workspaceDir)).toContain("made");
      await rm(path.join(workspaceDir, "made"));
    });

    testOfAsking("a refused write is shown and does not happen, and the reason reaches the agent", async () => {
      const { client, workspaceDir, model, runId } = await run(refused ?? "", { providerOptions: ask });
      const { data } = await client.first(runId, "human_loop.requested");
      expect(JSON.stringify(data.detail)).toContain("+new words");
      await client.reply(runId, { requestId: data.requestId, decision: "deny", reason: "leave it" });
      const events = await client.events(runId);
      expect(toolsOf(events)[0]?.state).toMatch(/denied|error/);
      expect(JSON.stringify(model.requests.at(-1)?.body)).toContain("leave it");
      expect(await readdir(workspaceDir)).not.toContain("fresh.txt");
    });

    describe("in another worker", () => {
      const { told } = prompts;
      /** What a worker that is gone was told, and what its run asked when it was ended; seen from the worker after it. */
      const gone = once(async () => {
        const known = told && (await runToEnd(told.prompt)).events;
        const asking = can.humanLoop ? await interrupted() : undefined;
        await worker.restart();
        return { told: known, asking };
      });
      const interrupted = async () => {
        const { client, runId, workspaceDir } = await run(prompts.again, { providerOptions: ask });
        const { data } = await client.first(runId, "human_loop.requested");
        expect(await readdir(workspaceDir)).not.toContain("again");
        return { runId, data };
      };

      if (can.resume && told)
        test("[R-6.4] it goes on with its conversation, and pays only for itself", async () => {
          const earlier = (await gone()).told ?? [];
          const conversationId = conversationOf(earlier);
          const { client, runId } = await run(told.history, { conversationId });
          const events = await client.events(runId);
          expect(messageOf(events)?.parts.at(-1)).toMatchObject({
            text: expect.stringContaining("MARKER-ONE MARKER-TWO"),
          });
          // What is told again of the history is not said again.
          expect(JSON.stringify(ofType(events, "message.delta"))).not.toContain("First I");
          expect(conversationOf(events)).toBe(conversationId);
          const [first, second] = [earlier, events].map((events) => ({ ...finishedOf(events).usage, durationMs: 0 }));
          expect(second).toEqual(first);
        });

      testOf("humanLoop", "[S-41] it goes on where it asked for leave, and is not asked again", async () => {
        const { asking } = await gone();
        if (!asking) throw new Error("nothing was asked");
        const { kind, title, rule } = asking.data;
        const given: GivenAnswer[] = [{ kind, title, rule, decision: "allow", scope: "once" }];
        const asked = await (await worker.next()).client.events(asking.runId);
        expect(finishedOf(asked)).toMatchObject({ outcome: "failed", reason: "container_failed" });
        const conversationId = conversationOf(asked);
        const more = { runId: `${asking.runId}-p1`, providerOptions: ask, given, conversationId };
        const { client, workspaceDir, runId } = await run(promptAfterParking(given), more);
        const events = await client.events(runId);
        expect(finishedOf(events)).toMatchObject({ outcome: "succeeded" });
        expect(conversationOf(events)).toBe(conversationId);
        expect(ofType(events, "human_loop.requested")).toEqual([]);
        expect(await readdir(workspaceDir)).toContain("again");
      });
    });
  });
}

/** The same promise for everybody who asks. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
