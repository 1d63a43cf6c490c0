import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "#protocol/ids.ts";
import { runtimeManifestSchema } from "#protocol/runtime-manifest.ts";
import { WorkerStartError } from "../../../executor-host/container/port.ts";
import { StoreError } from "../../../executor-host/workspace/port.ts";
import { delta, finished, HostUnderTest, messageStop, runStart, SESSION, textOf } from "./host-under-test.ts";

let under: HostUnderTest;
beforeEach(async () => {
  under = await HostUnderTest.start();
});
afterEach(() => under.stop());

describe("the path of a run", () => {
  test("accepted, worker up, started, events, end, in this order, and saved after the message [R-3.3]", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run({ model: "m", conversationId: "c" });
    worker.runner.emit(runId, delta("hel"), delta("lo"), messageStop("hello"), finished);
    await under.eventOf(runId, "run.finished");
    const types = data.messages.all.map((message) => (message.type === "worker.status" ? message.state : message.type));
    expect(types.slice(0, 4)).toEqual(["run.accepted", "starting", "active", "run.started"]);
    expect(new Set(types.slice(4))).toEqual(new Set(["run.events"]));
    expect(textOf(under.events(runId))).toBe("hello");
    expect(worker.runner.started[0]).toMatchObject({ runId, prompt: "say hello", model: "m", conversationId: "c" });
    expect(worker.runner.started[0]?.cwd).toBe(worker.spec.workspaceDir);
    await under.syncs.next();
  });

  test("[P-34] the runner is told only when the session has confirmed that the run starts", async () => {
    const data = await under.lease();
    data.acknowledges = false;
    const run = runStart();
    data.send({ type: "run.start", run });
    await data.messages.next(({ type }) => type === "run.started");
    const worker = under.engine.workers.all.at(-1);
    // The host has heard a later message, and says so: by then a hasty one would have told the runner.
    const other = data.send({ type: "run.stop", runId: newRunId(SESSION) });
    await data.frames.next((text) => text !== "ping" && JSON.parse(text).ack >= other);
    expect(worker?.runner.started).toEqual([]);
    data.acknowledges = true;
    data.acknowledge();
    await worker?.runner.calls.next(({ path }) => path.startsWith(`/provider-runs/${run.runId}/stream`));
    expect(worker?.runner.started).toHaveLength(1);
  });

  test("[P-34] a worker that goes away before its runner was told: another one gets the run, which begins once", async () => {
    const data = await under.lease();
    data.acknowledges = false;
    const run = runStart();
    data.send({ type: "run.start", run });
    await data.messages.next(({ type }) => type === "run.started");
    const first = under.engine.workers.all.at(-1);
    first?.end({ exitCode: 137, outOfMemory: false });
    data.acknowledges = true;
    data.acknowledge();
    const second = await under.engine.workers.next((worker) => worker !== first);
    await second.runner.calls.next(({ path }) => path.startsWith(`/provider-runs/${run.runId}/stream`));
    second.runner.emit(run.runId, finished);
    await under.eventOf(run.runId, "run.finished");
    expect([first?.runner.started.length, second.runner.started.length]).toEqual([0, 1]);
    expect(data.messages.all.filter(({ type }) => type === "run.started" || type === "run.aborted")).toHaveLength(1);
  });

  test("[P-34] a runner whose socket is gone was told nothing: when its worker has ended, another one gets the run", async () => {
    await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
    worker.runner.die();
    const run = runStart();
    under.data().send({ type: "run.start", run });
    await under.data().messages.next((message) => message.type === "run.started" && message.runId === run.runId);
    worker.end({ exitCode: 0, outOfMemory: false });
    const second = await under.engine.workers.next((each) => each !== worker);
    await second.runner.calls.next(({ path }) => path.startsWith(`/provider-runs/${run.runId}/stream`));
    expect(second.runner.started).toHaveLength(1);
  });

  test("[P-34] a run that is stopped before the session has confirmed its start is never told to the runner", async () => {
    const data = await under.lease();
    data.acknowledges = false;
    const run = runStart();
    data.send({ type: "run.start", run });
    await data.messages.next(({ type }) => type === "run.started");
    data.send({ type: "run.stop", runId: run.runId });
    expect(await data.messages.next(({ type }) => type === "run.aborted")).toMatchObject({ reason: "cancelled" });
    data.acknowledges = true;
    data.acknowledge();
    const worker = under.engine.workers.all.at(-1);
    expect(worker?.runner.started).toEqual([]);
    // The worker stays: the next run starts on it.
    const next = await under.run();
    expect(next.worker).toBe(worker);
    expect(worker?.runner.started.map(({ runId }) => runId)).toEqual([next.runId]);
  });

  test("the next run of the session uses the live worker", async () => {
    await under.lease();
    const first = await under.run();
    first.worker.runner.emit(first.runId, finished);
    await under.eventOf(first.runId, "run.finished");
    const second = await under.run();
    expect(second.worker).toBe(first.worker);
    expect(under.engine.starts.all).toHaveLength(1);
  });

  test("the same run.start twice starts one run", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    data.send({ type: "run.start", run: runStart({ runId }) });
    // Messages are taken in order: when this one shows, the one before it has been taken, and the run has not ended yet.
    data.send({ type: "sync.now" });
    await under.syncs.next();
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
    expect(worker.runner.started).toHaveLength(1);
    expect(data.messages.all.filter(({ type }) => type === "run.accepted")).toHaveLength(1);
  });

  test("a stream that breaks goes on after the last event that is on disk, none lost, none twice", async () => {
    await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, delta("a"), delta("b"));
    await under.eventOf(runId, "message.delta");
    worker.runner.cutStreams();
    worker.runner.emit(runId, delta("c"), delta("d"), finished);
    await under.eventOf(runId, "run.finished");
    expect(textOf(under.events(runId))).toBe("abcd");
  });

  test("[R-1.8] something that is no event of a runner is left out, those behind it arrive", async () => {
    await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.raw(runId, "{");
    worker.runner.emit(runId, delta("a"));
    worker.runner.raw(runId, worker.runner.spool(runId, { type: "session.deleted", data: {} }));
    worker.runner.emit(runId, delta("b"), finished);
    await under.eventOf(runId, "run.finished");
    expect(textOf(under.events(runId))).toBe("ab");
    expect(under.events(runId).some(({ type }) => (type as string) === "session.deleted")).toBe(false);
  });

  test("answers of people are brought to the runner until it takes them [R-6.6]", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.refusals.push({ path: "human-loop", status: 503 }, { path: "human-loop", status: 503 });
    data.send({ type: "run.reply", runId, reply: { requestId: "req_1", decision: "allow", scope: "once" } });
    for (let i = 0; i < 3; i++) await worker.runner.calls.next(({ path }) => path.endsWith("/human-loop/reply"));
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
    expect(worker.runner.calls.all.filter(({ path }) => path.endsWith("/human-loop/reply"))).toHaveLength(3);
  });

  test("a stop reaches the runner; its own end is the run's end [R-5.3]", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    data.send({ type: "run.stop", runId });
    await worker.runner.calls.next(({ path }) => path.endsWith("/stop"));
    worker.runner.emit(runId, { type: "run.finished", data: { outcome: "cancelled" } });
    await under.eventOf(runId, "run.finished");
    expect(data.messages.all.some(({ type }) => type === "run.aborted")).toBe(false);
  });

  test("a stop while the worker is being started ends the run at once, nothing is started", async () => {
    const data = await under.lease();
    const opened = Promise.withResolvers<void>();
    under.engine.gate = opened.promise;
    const run = runStart();
    data.send({ type: "run.start", run });
    await under.engine.starts.next();
    data.send({ type: "run.stop", runId: run.runId });
    const aborted = await data.messages.next(({ type }) => type === "run.aborted");
    expect(aborted).toMatchObject({ runId: run.runId, reason: "cancelled" });
    opened.resolve();
    const worker = await under.engine.workers.next();
    const next = await under.run();
    expect(worker.runner.started.map(({ runId }) => runId)).toEqual([next.runId]);
  });
});

describe("runs that end without run.finished", () => {
  test("the container dies: what it had said arrives, then run.aborted with the engine's own words", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, delta("read, "));
    await under.eventOf(runId, "message.delta");
    worker.runner.spool(runId, delta("only in the spool"));
    worker.end({ exitCode: 137, outOfMemory: true });
    const aborted = await data.messages.next(({ type }) => type === "run.aborted");
    expect(aborted).toMatchObject({ runId, reason: "container_failed" });
    expect((aborted as { evidence: string }).evidence).toMatch(/memory.*137/);
    expect(textOf(under.events(runId))).toBe("read, only in the spool");
    await under.syncs.next();
    const again = await under.run();
    expect(again.worker).not.toBe(worker);
  });

  test("the container dies just after the end was spooled: the run's own end counts", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.spool(runId, finished);
    worker.end({ exitCode: 1, outOfMemory: false });
    await under.eventOf(runId, "run.finished");
    expect(data.messages.all.some(({ type }) => type === "run.aborted")).toBe(false);
  });

  test("a worker that cannot be started: container_failed with the engine's last words", async () => {
    const data = await under.lease();
    under.engine.failStart = new WorkerStartError("The image x is not on this host.", "docker pull x");
    const run = runStart();
    data.send({ type: "run.start", run });
    const aborted = await data.messages.next(({ type }) => type === "run.aborted");
    expect(aborted).toMatchObject({ runId: run.runId, reason: "container_failed" });
    expect((aborted as { evidence: string }).evidence).toContain("docker pull x");
    expect(data.messages.all.some(({ type }) => type === "run.started")).toBe(false);
  });

  test("what a worker needs of this host is looked for with the lease; what is not there then is looked for again with the run", async () => {
    const { toolkit } = under;
    const looks: string[] = [];
    under.toolkit = async () => {
      looks.push("");
      throw new Error("not yet");
    };
    await under.lease();
    expect(looks).toHaveLength(1);
    under.toolkit = toolkit;
    await under.run();
  });

  test("a workspace that cannot be restored: workspace_failed, no worker is started", async () => {
    const data = await under.lease();
    under.restore = async () => {
      throw new StoreError("store_corrupt", "a pack is damaged", false);
    };
    data.send({ type: "run.start", run: runStart({ snapshotId: "b".repeat(64) }) });
    const aborted = await data.messages.next(({ type }) => type === "run.aborted");
    expect(aborted).toMatchObject({ reason: "workspace_failed" });
    expect(under.engine.starts.all).toEqual([]);
  });

  test("[R-4.3] required paths that the disk lacks: workspace_failed with what is missing, no worker is started", async () => {
    const data = await under.lease();
    const manifest = runtimeManifestSchema.parse({
      runtimeVersion: "1.0",
      seedFiles: [{ path: "/workspace/seeded", content: "x" }],
      requiredPaths: ["/workspace/seeded", "/workspace/data/model.bin"],
    });
    data.send({ type: "run.start", run: runStart({ manifest }) });
    const aborted = await data.messages.next(({ type }) => type === "run.aborted");
    expect(aborted).toMatchObject({ reason: "workspace_failed" });
    expect((aborted as { evidence: string }).evidence).toMatch(/required_paths_missing.*\/workspace\/data\/model\.bin/);
    expect(under.engine.starts.all).toEqual([]);
  });

  test("[R-4.4] a manifest is laid out before the worker starts, and for a later run under a live worker", async () => {
    await under.lease();
    const seed = (name: string) =>
      runtimeManifestSchema.parse({
        runtimeVersion: "1.0",
        seedFiles: [{ path: `/workspace/${name}`, content: name }],
        requiredPaths: [`/workspace/${name}`],
      });
    const first = await under.run({ manifest: seed("first") });
    const { workspaceDir } = first.worker.spec;
    expect(readFileSync(join(workspaceDir, "first"), "utf8")).toBe("first");
    first.worker.runner.emit(first.runId, finished);
    await under.eventOf(first.runId, "run.finished");
    const second = await under.run({ manifest: seed("second") });
    expect(second.worker).toBe(first.worker);
    expect(readFileSync(join(workspaceDir, "second"), "utf8")).toBe("second");
  });

  test("another attempt of a run does not find the spool of the first", async () => {
    const data = await under.lease();
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, delta("first attempt"));
    await under.eventOf(runId, "message.delta");
    under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 1, reason: "lost" });
    await under.engine.removals.next();
    data.forget();
    await under.lease(2);
    const spool = join(worker.spec.runDir, "spool", `${runId}.jsonl`);
    expect(existsSync(spool)).toBe(true);
    const opened = Promise.withResolvers<void>();
    under.engine.gate = opened.promise;
    data.send({ type: "run.start", run: runStart({ runId, attempt: 2 }) });
    await under.engine.starts.next(({ epoch }) => epoch === 2);
    expect(existsSync(spool)).toBe(false);
    opened.resolve();
  });
});
