/** The queue as its operators see and steer it. The host is the test's own. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { RunQueueReport, RunRecord } from "#protocol/http.ts";
import { addCaller, bootstrap, type Caller, firstCaller, otherCaller } from "../support/accounts.ts";
import { HostedRun } from "../support/hosted-run.ts";
import { ScriptedHost } from "../support/scripted-host.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

type Queued = { runId: string; sessionId: string; state: string; redriveOf?: string };
let worker: WorkerUnderTest;
let me: Caller;
let member: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
  const { body } = await me.call<{ organizationId: string }>("GET", "/api/me");
  member = await addCaller(worker, body.organizationId, "member");
});
afterAll(() => worker.close());

const GENEROUS = { timeout: 20_000, interval: 50 };
const enqueue = (body: object, headers = {}, caller = me) =>
  caller.call<Queued>("POST", "/api/runs/queue/enqueue", body, headers);
const report = async () => (await me.call<RunQueueReport>("GET", "/api/runs/queue")).body;
const stop = (runId: string) => me.call("POST", `/api/runs/${runId}/stop`, {});
const redrive = (runId: string, caller = me) =>
  caller.call<Queued>("POST", `/api/runs/queue/dead-letters/${runId}/redrive`, {});

describe("what waits", () => {
  test("is listed in its turn, counted by reason, for operators only [R-5.5]", async () => {
    const low = (await enqueue({ prompt: "say low", priority: -1 })).body;
    const high = (await enqueue({ prompt: "say high", priority: 5 })).body;
    await vi.waitFor(async () => expect((await report()).reasons).toEqual({ no_host: 2 }), GENEROUS);
    const { entries, depth, oldestWaitMs } = await report();
    expect(entries).toMatchObject([
      { runId: high.runId, position: 1, priority: 5, why: "no_host" },
      { runId: low.runId, position: 2, priority: -1 },
    ]);
    expect(depth).toBe(2);
    expect(oldestWaitMs).toBeGreaterThan(0);
    expect((await me.call("GET", `/api/runs/queue/${low.runId}`)).body).toMatchObject({ position: 2 });
    expect((await member.call("GET", "/api/runs/queue")).status).toBe(403);
    expect((await member.call("POST", "/api/runs/queue/drain", {})).status).toBe(403);
    await Promise.all([stop(low.runId), stop(high.runId)]);
    await vi.waitFor(async () => expect((await report()).depth).toBe(0), GENEROUS);
  });

  test("a priority is bounded, and one above the others' is for operators", async () => {
    expect((await enqueue({ prompt: "x", priority: 11 })).status).toBe(400);
    expect(await enqueue({ prompt: "x", priority: 1 }, {}, member)).toMatchObject({ status: 403 });
    const own = await enqueue({ prompt: "x", priority: -1 }, {}, member);
    expect(own.status).toBe(202);
    await stop(own.body.runId);
  });

  test("the same key with another priority or other labels is another request", async () => {
    const headers = { "idempotency-key": "queue-1" };
    const body = { prompt: "x", priority: -1, executionProfile: { labels: { gpu: "yes" } } };
    const first = await enqueue(body, headers);
    expect((await enqueue(body, headers)).body.runId).toBe(first.body.runId);
    for (const other of [{ priority: -2 }, { executionProfile: { labels: { gpu: "no" } } }])
      expect(await enqueue({ ...body, ...other }, headers)).toMatchObject({
        status: 409,
        body: { reason: "idempotency_conflict" },
      });
    await stop(first.body.runId);
  });
});

describe("with a host", () => {
  let host: ScriptedHost;
  beforeAll(async () => {
    const { joinToken } = await bootstrap(worker, ["joinToken"]);
    host = await ScriptedHost.online(worker.origin, joinToken, { slots: 20 });
  });
  afterAll(() => host.control.close());

  test("a run waits for its labels, and says so", async () => {
    const { runId } = (await enqueue({ prompt: "x", executionProfile: { labels: { gpu: "yes" } } })).body;
    await vi.waitFor(async () => {
      const { body } = await me.call<{ waitingFor: string }>("GET", `/api/runs/queue/${runId}`);
      expect(body.waitingFor).toContain("gpu=yes");
    }, GENEROUS);
    await stop(runId);
  });

  test("a run that failed with its worker is a dead letter; its redrive is one new run that names it [F-19]", async () => {
    const { runId, sessionId } = (await enqueue({ prompt: "say once more", retryOn: ["host_lost"] })).body;
    const hosted = await HostedRun.first(host);
    expect((await report()).leases).toMatchObject([{ sessionId, runId, state: "held", epoch: 1 }]);
    await hosted.data.acknowledged(
      hosted.data.send({ type: "run.aborted", runId, reason: "container_failed", evidence: "exit 137" }),
    );
    await vi.waitFor(async () => expect((await report()).deadLetters).toHaveLength(1), GENEROUS);
    expect((await report()).deadLetters).toMatchObject([
      { runId, sessionId, reason: "container_failed", evidence: "exit 137", attempts: 1, begun: true },
    ]);
    expect((await redrive(runId, member)).status).toBe(403);
    expect((await redrive(runId, await otherCaller(worker))).status).toBe(404);

    const [first, second] = await Promise.all([redrive(runId), redrive(runId)]);
    expect(first).toMatchObject({ status: 202, body: { sessionId, state: "queued", redriveOf: runId } });
    expect(second.body.runId).toBe(first.body.runId);
    const again = await hosted.next();
    expect(again.run).toMatchObject({ runId: first.body.runId, prompt: "say once more", attempt: 1 });
    await again.told({ type: "run.finished", data: { outcome: "succeeded" } });
    const runs = async (id: string) => (await me.call<{ run: RunRecord }>("GET", `/api/runs/${id}`)).body.run;
    expect(await runs(first.body.runId)).toMatchObject({ outcome: "succeeded", redriveOf: runId });
    expect(await runs(runId), "it stays as it ended").toMatchObject({ outcome: "failed", reason: "container_failed" });
    expect((await report()).deadLetters).toMatchObject([{ runId, redrivenAs: first.body.runId }]);
    expect((await redrive(runId)).body.runId, "long after, too").toBe(first.body.runId);
    expect((await redrive(first.body.runId)).status, "no dead letter").toBe(404);
  });

  test("a worker that cannot be started is tried again later, and the time of it is known", async () => {
    const { runId } = (await enqueue({ prompt: "x" })).body;
    const { data } = await host.takeAssignment();
    await data.message("run.start");
    data.send({ type: "run.accepted", runId });
    data.send({ type: "run.aborted", runId, reason: "container_failed", evidence: "no such image" });
    await data.message("worker.stop");
    const { body } = await me.call<{ attempts: number; nextAttemptAt: number; waitingFor: string }>(
      "GET",
      `/api/runs/queue/${runId}`,
    );
    expect(body).toMatchObject({ attempts: 2, nextAttemptAt: expect.any(Number) });
    expect(body.waitingFor).toContain("no such image");
    await stop(runId);
  });
});
