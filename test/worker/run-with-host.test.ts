/** What the API says of a run that a host carries out. The host is the test's own: it says what a runner would. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import type { RunStart } from "#protocol/messages.ts";
import { bootstrap, type Caller, firstCaller, ownerCookie } from "../support/accounts.ts";
import { ScriptedHost, type ScriptedLink } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
let host: ScriptedHost;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  host = await ScriptedHost.online(worker.origin, (await bootstrap(worker, ["joinToken"])).joinToken, { slots: 50 });
});
afterAll(async () => {
  await host.control.close();
  await worker.close();
});

type Result = { ok: boolean; runId: string; sessionId: string; outcome: string; text: string; usage?: object };
let answer: Promise<{ status: number; body: Result }>;
let data: ScriptedLink;
let run: RunStart;
const say = (...events: RunEvent[]) => data.send({ type: "run.events", runId: run.runId, events });

beforeEach(async () => {
  answer = me.call<Result>("POST", "/api/runs/start", { prompt: "do it", model: "m-1", humanLoopTimeoutMs: 3_600_000 });
  ({ data } = await host.takeAssignment());
  data.send({ type: "worker.status", state: "active" });
  ({ run } = await data.message<{ type: "run.start"; run: RunStart }>("run.start"));
  data.send({ type: "run.accepted", runId: run.runId });
  data.send({ type: "run.started", runId: run.runId });
});

describe("a run on a host", () => {
  test("answers its text, its usage and its todos when it has finished", async () => {
    const items = [{ id: "1", text: "first", status: "completed" as const }];
    const usage = {
      inputTokens: 12,
      outputTokens: 34,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      reasoningTokens: 0,
      durationMs: 5,
    };
    say(
      { type: "todo.update", data: { items: [{ id: "1", text: "first", status: "pending" }] } },
      { type: "todo.update", data: { items } },
      {
        type: "message.delta",
        data: {
          messageId: "m1",
          chunks: [
            { type: "text-start", id: "t" },
            { type: "text-delta", id: "t", delta: "done" },
          ],
        },
      },
      { type: "message.stop", data: { messageId: "m1", text: "done" } },
      { type: "usage.recorded", data: usage },
      { type: "run.finished", data: { outcome: "succeeded", usage } },
    );
    const { status, body } = await answer;
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ok: true,
      runId: run.runId,
      outcome: "succeeded",
      text: "done",
      usage: { inputTokens: 12 },
    });
    const path = `/api/runs/${run.runId}`;
    expect((await me.call("GET", path)).body).toMatchObject({
      run: { state: "finished", outcome: "succeeded", model: "m-1", usage: { outputTokens: 34 } },
    });
    expect((await me.call("GET", `${path}/todos`)).body).toEqual({ items });
    expect((await me.call<{ events: object[] }>("GET", `${path}/todos/events`)).body.events).toHaveLength(2);
    expect((await me.call("POST", `${path}/stop`, {})).body).toEqual({ state: "finished" });
    // The index follows as soon as the session's outbox has delivered.
    await vi.waitFor(async () => {
      const { body } = await me.call<{ sessions: object[] }>("GET", "/api/sessions");
      expect(body.sessions).toContainEqual(
        expect.objectContaining({ id: run.sessionId, title: "do it", activity: "idle", needsAttention: false }),
      );
      const [row] = await worker.sql("select state, outcome, usage from runs where id = ?", run.runId);
      expect(row).toMatchObject({ state: "finished", outcome: "succeeded" });
    }, 10_000);
  });

  test("[S-50] asks people who have a time to answer, which begins when one of them is shown it", async () => {
    const requestId = `req_${run.sessionId.slice(4)}-0123456789`;
    const asked = { requestId, kind: "permission" as const, title: "Go?", detail: {}, options: [], multiple: false };
    await data.acknowledged(say({ type: "human_loop.requested", data: asked }));
    const cookie = await ownerCookie(worker);
    type Pending = { requests: { id: string; answerWithinMs?: number; expiresAt?: number }[] };
    const pending = async (query: string, headers: Record<string, string>) => {
      const response = await worker.fetch(`/api/human-loop/pending${query}`, { headers });
      return ((await response.json()) as Pending).requests.find(({ id }) => id === requestId);
    };
    const own = `?sessionId=${run.sessionId}`;
    const program = { authorization: `Bearer ${me.token}` };
    // A program has seen it, nobody else.
    expect(await pending(own, program)).toMatchObject({ answerWithinMs: 3_600_000 });
    expect(await pending(own, program)).not.toHaveProperty("expiresAt");
    const before = Date.now();
    await vi.waitFor(async () => expect(await pending("", { cookie })).toBeDefined(), 10_000);
    const { expiresAt = 0 } = (await pending(own, program)) ?? {};
    expect(expiresAt).toBeGreaterThanOrEqual(before + 3_600_000);
    await vi.waitFor(async () => expect(await pending("", { cookie })).toMatchObject({ expiresAt }), 10_000);
    say({ type: "run.finished", data: { outcome: "succeeded" } });
    expect((await answer).body).toMatchObject({ ok: true });
  });

  test("asks a person, and takes the first answer", async () => {
    const requestId = `req_${run.sessionId.slice(4)}-0123456789`;
    say({
      type: "human_loop.requested",
      data: {
        requestId,
        kind: "permission",
        title: "Run rm -rf?",
        detail: { command: "rm -rf" },
        options: [],
        multiple: false,
        rule: "Bash(rm:*)",
      },
    });
    const stream = await worker.fetch(`/api/sessions/${run.sessionId}/stream`, {
      headers: { authorization: `Bearer ${me.token}` },
    });
    let text = "";
    for await (const chunk of stream.body ?? []) {
      text += new TextDecoder().decode(chunk);
      if (text.includes("human_loop.requested")) break;
    }
    const { body: pending } = await me.call<{ requests: object[] }>(
      "GET",
      `/api/human-loop/pending?sessionId=${run.sessionId}`,
    );
    expect(pending.requests).toEqual([
      expect.objectContaining({
        id: requestId,
        runId: run.runId,
        sessionId: run.sessionId,
        kind: "permission",
        title: "Run rm -rf?",
        detail: { command: "rm -rf" },
        rule: "Bash(rm:*)",
      }),
    ]);
    await vi.waitFor(async () => {
      const { body } = await me.call<{ requests: object[] }>("GET", "/api/human-loop/pending");
      expect(body.requests).toContainEqual(
        expect.objectContaining({
          id: requestId,
          sessionId: run.sessionId,
          sessionTitle: expect.any(String),
          provider: expect.any(String),
        }),
      );
    }, 10_000);
    const reply = (decision: string) => me.call("POST", "/api/human-loop/reply", { requestId, decision });
    expect((await reply("answer")).status, "a permission is not a question").toBe(422);
    expect(await reply("deny")).toMatchObject({ status: 200, body: { ok: true } });
    expect(await reply("allow")).toMatchObject({
      status: 409,
      body: { reason: "already_answered", details: { decision: "deny" } },
    });
    expect(await data.message("run.reply")).toMatchObject({ reply: { requestId, decision: "deny" } });
    expect((await me.call("GET", `/api/human-loop/pending?sessionId=${run.sessionId}`)).body).toEqual({ requests: [] });
    say({ type: "run.finished", data: { outcome: "failed", reason: "provider_no_output", evidence: "said nothing" } });
    expect((await answer).body).toMatchObject({
      ok: false,
      outcome: "failed",
      reason: "provider_no_output",
      evidence: "said nothing",
    });
  });

  test("that is stopped is cancelling until the host is done with it", async () => {
    expect(await me.call("POST", `/api/runs/${run.runId}/stop`, { reason: "enough" })).toMatchObject({
      status: 202,
      body: { state: "cancelling" },
    });
    await data.message("run.stop");
    say({ type: "run.finished", data: { outcome: "cancelled" } });
    expect((await answer).body).toMatchObject({ ok: false, outcome: "cancelled" });
  });
});
