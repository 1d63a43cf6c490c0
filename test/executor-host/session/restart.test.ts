import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { delta, finished, HostUnderTest, runStart, SESSION, textOf } from "./host-under-test.ts";

let under: HostUnderTest;
beforeEach(async () => {
  under = await HostUnderTest.start();
});
afterEach(() => under.stop());

describe("a daemon that starts again [R-3.4]", () => {
  test("finds the worker, goes on at the last event on disk, says nothing twice", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, delta("a"), delta("b"));
    await under.eventOf(runId, "message.delta");
    await under.host.close();
    worker.runner.emit(runId, delta("c"));
    await under.launch();
    worker.runner.emit(runId, delta("d"), finished);
    await under.eventOf(runId, "run.finished");
    expect(textOf(under.events(runId))).toBe("abcd");
    expect(worker.runner.started).toHaveLength(1);
    expect(data.messages.all.filter(({ type }) => type === "run.started")).toHaveLength(1);
    expect(data.connections.all.map(({ auth }) => auth.epoch)).toEqual([1, 1]);
  });

  test("tells the pool which leases it holds", async () => {
    await under.lease();
    await under.host.close();
    await under.launch();
    const facts = await under.plane.control.messages.next((m) => m.type === "facts" && m.leases.length > 0);
    expect(facts).toMatchObject({
      leases: [{ sessionId: SESSION, epoch: 1 }],
      facts: { vmModes: ["process"], slots: 2 },
    });
  });

  test("a worker that died meanwhile: the run is aborted, what it left in the spool arrives", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    await under.host.close();
    worker.runner.spool(runId, delta("last words"));
    worker.end({ exitCode: 1, outOfMemory: false });
    await under.launch();
    expect(await data.messages.next(({ type }) => type === "run.aborted")).toMatchObject({
      reason: "container_failed",
    });
    expect(textOf(under.events(runId))).toBe("last words");
  });

  test("a run that was accepted and not told to any runner is started now", async () => {
    const data = await under.lease();
    const opened = Promise.withResolvers<void>();
    under.engine.gate = opened.promise;
    const run = runStart();
    data.send({ type: "run.start", run });
    await under.engine.starts.next();
    await under.host.close();
    under.engine.gate = Promise.resolve();
    await under.launch();
    await data.messages.next(({ type }) => type === "run.started");
    expect(data.messages.all.filter(({ type }) => type === "run.accepted")).toHaveLength(1);
    opened.resolve();
  });

  test("[P-34] a daemon that ended before the session confirmed the start says it once and starts the run once", async () => {
    const data = await under.lease();
    data.acknowledges = false;
    const run = runStart();
    data.send({ type: "run.start", run });
    await data.messages.next(({ type }) => type === "run.started");
    const lost = under.engine.workers.all.at(-1);
    await under.host.close();
    // Even the worker may be gone: nothing has begun in it.
    lost?.end({ exitCode: 1, outOfMemory: false });
    data.acknowledges = true;
    await under.launch();
    const worker = await under.engine.workers.next((each) => each !== lost);
    await worker.runner.calls.next(({ path }) => path.startsWith(`/provider-runs/${run.runId}/stream`));
    expect(lost?.runner.started).toEqual([]);
    expect(worker.runner.started).toHaveLength(1);
    expect(data.messages.all.filter(({ type }) => type === "run.started")).toHaveLength(1);
  });

  test("a stop and an answer that were taken before it died are delivered", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.refusals.push(...Array.from({ length: 50 }, () => ({ path: "human-loop", status: 503 })));
    data.send({ type: "run.reply", runId, reply: { requestId: "req_1", decision: "deny", scope: "once" } });
    await worker.runner.calls.next(({ path }) => path.endsWith("reply"));
    await under.host.close();
    worker.runner.refusals.length = 0;
    const before = worker.runner.calls.all.length;
    await under.launch();
    await worker.runner.calls.next(({ path }) => path.endsWith("reply") && worker.runner.calls.all.length > before);
  });

  test("the workspace that was not saved yet is saved", async () => {
    await under.lease();
    await under.run();
    await under.host.close();
    const before = under.syncs.all.length;
    await under.launch();
    await under.syncs.next(() => under.syncs.all.length > before);
  });

  test("a worker of this installation without a lease is ended, its files stay", async () => {
    await under.lease();
    await under.run();
    await under.host.close();
    under.data().refuse = "forbidden";
    await under.launch();
    await under.engine.removals.next();
    expect(await under.engine.find()).toEqual([]);
  });

  test("killed between `stopped` and the release: the lease is given back after the restart", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
    data.acknowledges = false;
    data.send({ type: "worker.stop", reason: "idle" });
    await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
    await under.host.close();
    data.acknowledges = true;
    await under.launch();
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    expect(data.messages.all.filter((m) => m.type === "worker.status" && m.state === "stopped")).toHaveLength(1);
  });
});
