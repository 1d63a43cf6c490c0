import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { sessionPaths } from "../../../executor-host/config.ts";
import { KEPT_WARM_MS } from "../../../executor-host/session/sweep.ts";
import { StoreError } from "../../../executor-host/workspace/port.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { delta, finished, HostUnderTest, messageStop, runStart, SESSION } from "./host-under-test.ts";

let under: HostUnderTest;
afterEach(() => under.stop());

/** A session with one finished run and a live worker; the syncs of that run are done. */
async function idleSession(options: Parameters<typeof HostUnderTest.start>[0] = {}) {
  under = await HostUnderTest.start(options);
  const data = await under.lease();
  const { runId, worker } = await under.run();
  worker.runner.emit(runId, finished);
  await under.eventOf(runId, "run.finished");
  await under.syncs.next();
  under.engine.journal.length = 0;
  return { data, worker };
}

describe("the sync gate [R-3.2]", () => {
  test("worker.stop: saved, then the worker is removed, then `stopped` is said, then the lease goes", async () => {
    const { data } = await idleSession();
    const control = under.plane.control;
    data.send({ type: "worker.stop", reason: "idle" });
    const stopped = await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
    expect(stopped, "[P-42]").toMatchObject({ warm: "a".repeat(64) });
    // The second sync catches what was written between the first and the worker's end.
    expect(under.engine.journal).toEqual([`sync ${SESSION} 1`, `remove ${SESSION} 1`, `sync ${SESSION} 1`]);
    const release = await control.messages.next(({ type }) => type === "lease.release");
    expect(release).toMatchObject({ sessionId: SESSION, epoch: 1 });
    expect(existsSync(sessionPaths(under.paths, SESSION).workspace)).toBe(true);
  });

  test("[P-43] after a long stop the files go, and the pool is told before it hears of the sweep", async () => {
    const { data } = await idleSession();
    const { control } = under.plane;
    data.send({ type: "worker.stop", reason: "idle" });
    await control.messages.next(({ type }) => type === "lease.release");
    const { sync, workspace } = sessionPaths(under.paths, SESSION);
    const longAgo = (under.clock.now() - KEPT_WARM_MS - 60_000) / 1_000;
    utimesSync(sync, longAgo, longAgo);
    control.send({ type: "reconcile" });
    await control.messages.next(({ type }) => type === "reconciled");
    const told = control.messages.all.filter(({ type }) => type === "workspace.removed" || type === "reconciled");
    expect(told).toMatchObject([{ type: "workspace.removed", sessionId: SESSION, epoch: 1 }, { type: "reconciled" }]);
    expect(existsSync(workspace)).toBe(false);
  });

  test("`stopped` has to be acknowledged before the lease is released", async () => {
    const { data } = await idleSession();
    data.acknowledges = false;
    data.send({ type: "worker.stop", reason: "idle" });
    await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
    expect(under.plane.control.messages.all.some(({ type }) => type === "lease.release")).toBe(false);
    data.acknowledge();
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
  });

  test("a session that ends the lease as soon as it hears `stopped` gets its release all the same", async () => {
    const { data } = await idleSession();
    data.acknowledges = false;
    data.send({ type: "worker.stop", reason: "idle" });
    await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
    data.close("stale_epoch", "the lease is over");
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    expect(under.host.status()).toMatchObject({ sessions: [], outbox: { bytes: expect.any(Number) } });
  });

  test("work that a person gives up stops the worker, and is set aside when the session comes back", async () => {
    const clock = new HeldClock();
    const { data } = await idleSession({ clock });
    const { workspace, kept } = sessionPaths(under.paths, SESSION);
    writeFileSync(join(workspace, "unsaved"), "x");
    under.sync = async () => {
      throw new StoreError("store_unreachable", "away", true);
    };
    data.send({ type: "worker.stop", reason: "idle" });
    await data.messages.next(({ type }) => type === "sync.failed");
    data.send({ type: "sync.decide", choice: "discard" });
    const stopped = await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
    expect(stopped, "[P-42]").toMatchObject({ warm: null });
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    expect(existsSync(join(workspace, "unsaved"))).toBe(true);
    data.forget();
    await under.lease(2);
    await under.run({ snapshotId: "b".repeat(64) });
    expect(existsSync(join(workspace, "unsaved"))).toBe(false);
    const aside = readdirSync(kept).find((name) => !name.endsWith(".sync"))!;
    expect(existsSync(join(kept, aside, "unsaved"))).toBe(true);
  });

  test("[P-41] how many files wait to be saved is told with the failure, and nothing when the host could not look", async () => {
    const { data } = await idleSession({ clock: new HeldClock() });
    const failure = new StoreError("store_unreachable", "away", true);
    under.sync = async ({ changedFiles }) => {
      changedFiles?.(3);
      throw failure;
    };
    data.send({ type: "sync.now" });
    expect(await data.messages.next(({ type }) => type === "sync.failed")).toMatchObject({ attempt: 1, files: 3 });
    under.sync = async () => {
      throw failure;
    };
    data.send({ type: "sync.now" });
    const blind = await data.messages.next((m) => m.type === "sync.failed" && m.attempt === 2);
    expect(blind).not.toHaveProperty("files");
  });

  test("a sync that fails keeps the worker, is reported and tried again after 1, 2, 4 s", async () => {
    const clock = new HeldClock();
    const { data } = await idleSession({ clock });
    under.sync = async () => {
      throw new StoreError("unavailable", "the store is away", true);
    };
    data.send({ type: "worker.stop", reason: "idle" });
    const pauses: (number | undefined)[] = [];
    for (let attempt = 1; attempt <= 3; attempt++) {
      const failed = await data.messages.next((m) => m.type === "sync.failed");
      if (failed.type !== "sync.failed") throw new Error("not a failure");
      expect(failed.attempt).toBe(attempt);
      pauses.push(failed.retryInMs);
      // The loop is asleep when its timer is set.
      await clock.timer((delayMs) => delayMs === failed.retryInMs);
      clock.advance(failed.retryInMs ?? 0);
      await under.syncs.next();
    }
    expect(pauses).toEqual([1_000, 2_000, 4_000]);
    expect(under.engine.journal.some((line) => line.startsWith("remove"))).toBe(false);
    expect(data.messages.all.some((m) => m.type === "worker.status" && m.state === "stopped")).toBe(false);
    await data.messages.next((m) => m.type === "sync.failed" && m.attempt === 4);
    under.sync = async () => "b".repeat(64);
    data.send({ type: "sync.now" });
    await data.messages.next((m) => m.type === "worker.status" && m.state === "stopped");
  });

  test("a run that comes while the stop waits for the store gets the worker that is still there", async () => {
    const { data, worker } = await idleSession();
    const store = Promise.withResolvers<string>();
    under.sync = () => store.promise;
    data.send({ type: "worker.stop", reason: "idle" });
    await under.syncs.next();
    const next = await under.run();
    expect(next.worker).toBe(worker);
    expect(data.messages.all.findLast(({ type }) => type === "worker.status")).toMatchObject({ state: "active" });
    store.resolve("b".repeat(64));
    next.worker.runner.emit(next.runId, finished);
    await under.eventOf(next.runId, "run.finished");
    expect(under.engine.journal.some((line) => line.startsWith("remove"))).toBe(false);
  });

  test("a worker that never had a run is given back without a sync", async () => {
    under = await HostUnderTest.start();
    const data = await under.lease();
    data.send({ type: "worker.stop", reason: "idle" });
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    expect(under.engine.journal).toEqual([]);
  });
});

describe("syncs while people talk [R-3.3]", () => {
  test("at most one runs; what is asked meanwhile is one more, and events flow all the time", async () => {
    under = await HostUnderTest.start();
    await under.lease();
    const first = Promise.withResolvers<string>();
    under.sync = () => first.promise;
    const { runId, worker } = await under.run();
    worker.runner.emit(runId, messageStop("one", "msg_1"));
    await under.syncs.next();
    for (const id of ["msg_2", "msg_3", "msg_4"]) worker.runner.emit(runId, delta(id, id), messageStop(id, id));
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
    expect(under.syncs.all).toHaveLength(1);
    under.sync = async () => "b".repeat(64);
    first.resolve("a".repeat(64));
    await under.syncs.next();
    const next = await under.run();
    expect(under.syncs.all).toHaveLength(2);
    // What the store has now is what the next sync is told to build on.
    next.worker.runner.emit(next.runId, finished);
    expect((await under.syncs.next()).lastSnapshotId).toBe("b".repeat(64));
  });
});

describe("a lease that is lost", () => {
  test("revoked: the worker ends, the files stay, nothing is uploaded under the old epoch", async () => {
    const { data, worker } = await idleSession();
    const store = Promise.withResolvers<string>();
    under.sync = (input) => {
      input.signal?.addEventListener("abort", () => store.reject(input.signal?.reason));
      return store.promise;
    };
    data.send({ type: "sync.now" });
    await under.syncs.next();
    const { workspace } = sessionPaths(under.paths, SESSION);
    writeFileSync(join(workspace, "unsaved.txt"), "work");
    under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 1, reason: "host was silent" });
    await under.engine.removals.next();
    expect(await data.closes.next()).toMatchObject({ code: 1000 });
    expect(under.syncs.all.at(-1)?.signal?.aborted).toBe(true);
    expect(existsSync(join(workspace, "unsaved.txt"))).toBe(true);
    expect(worker.spec.epoch).toBe(1);
    expect(under.host.status().sessions).toEqual([]);
  });

  test("[P-10] a stale epoch on the data link is the same, without a word from the pool, which is told at once", async () => {
    const { data } = await idleSession();
    data.refuse = "stale_epoch";
    data.refuseReason = "2";
    data.cut();
    await under.engine.removals.next();
    expect(under.engine.journal).toEqual([`remove ${SESSION} 1`]);
    expect(await under.plane.control.messages.next(({ type }) => type === "lease.release")).toMatchObject({
      sessionId: SESSION,
      epoch: 1,
    });
    await vi.waitFor(() => expect(under.host.status().outbox.messages).toBe(0));
  });

  test("[P-10] the next lease waits for the worker of the one that was refused", async () => {
    const { data } = await idleSession();
    const removed = Promise.withResolvers<void>();
    under.engine.removalGate = removed.promise;
    data.refuse = "stale_epoch";
    data.cut();
    await under.engine.removals.next();
    data.refuse = undefined;
    data.forget();
    under.plane.control.send({ type: "assign", assignment: under.plane.assignment(SESSION, 2) });
    await under.plane.control.messages.next((m) => m.type === "assign.accept" && m.epoch === 2);
    // Another session goes all the way meanwhile.
    await under.lease(1, "ses_bbbbbbbbbbbbbbbbbbbb");
    expect(data.connections.all.map(({ auth }) => auth.epoch)).not.toContain(2);
    removed.resolve();
    await data.connections.next(({ auth }) => auth.epoch === 2);
  });

  test("a revocation of an epoch that is not held any more changes nothing", async () => {
    await idleSession();
    under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 7, reason: "old news" });
    const next = await under.run();
    expect(next.worker.spec.epoch).toBe(1);
  });

  test("the lease comes back with a newer snapshot: unsaved files are set aside, then it is restored", async () => {
    const { data } = await idleSession();
    under.sync = async () => {
      throw new StoreError("unavailable", "away", true);
    };
    under.handIn = async () => {
      throw new StoreError("unavailable", "away", true);
    };
    const run = await under.run();
    const paths = sessionPaths(under.paths, SESSION);
    writeFileSync(join(paths.workspace, "unsaved.txt"), "work");
    run.worker.runner.emit(run.runId, finished);
    await data.messages.next(({ type }) => type === "sync.failed");
    under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 1, reason: "lost" });
    await under.engine.removals.next();
    data.forget();
    await under.lease(2);
    await under.run({ snapshotId: "c".repeat(64) });
    expect(under.restores.all.map(({ snapshotId }) => snapshotId)).toEqual(["c".repeat(64)]);
    expect(existsSync(join(paths.workspace, "unsaved.txt"))).toBe(false);
    expect(existsSync(paths.kept)).toBe(true);
  });

  test("the lease comes back with a newer snapshot and everything here was saved: restored in place, nothing is kept", async () => {
    const { data } = await idleSession();
    data.send({ type: "worker.stop", reason: "idle" });
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    data.forget();
    await under.lease(2);
    await under.run({ snapshotId: "c".repeat(64) });
    expect(under.restores.all.map(({ snapshotId }) => snapshotId)).toEqual(["c".repeat(64)]);
    expect(existsSync(sessionPaths(under.paths, SESSION).kept)).toBe(false);
  });

  test("the lease comes back while a sync of the old one still ends: the new one waits for the workspace", async () => {
    const { data } = await idleSession();
    let old: "running" | "ended" = "running";
    under.sync = async ({ signal }) => {
      await new Promise((resolve) => signal?.addEventListener("abort", resolve));
      // Its thread takes a while to end.
      for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
      old = "ended";
      throw signal?.reason;
    };
    const seen: string[] = [];
    under.restore = async () => void seen.push(old);
    data.send({ type: "sync.now" });
    await under.syncs.next();
    under.plane.control.send({ type: "lease.revoked", sessionId: SESSION, epoch: 1, reason: "lost" });
    await under.engine.removals.next();
    data.forget();
    await under.lease(2);
    await under.run({ snapshotId: "c".repeat(64) });
    expect(seen).toEqual(["ended"]);
  });

  test("a restore that broke off in the middle of its swap is finished before anything else is done there", async () => {
    const { data } = await idleSession();
    data.send({ type: "worker.stop", reason: "idle" });
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    data.forget();
    await under.lease(2);
    const { workspace } = sessionPaths(under.paths, SESSION);
    // Between "move-old" and "move-new": the new tree is complete, nothing stands at the root.
    under.restore = async ({ root, stateDir, snapshotId }) => {
      const staging = join(dirname(root), `.${basename(root)}.restoring-${snapshotId.slice(0, 16)}`);
      renameSync(root, join(dirname(root), `.${basename(root)}.replaced`));
      mkdirSync(staging);
      writeFileSync(join(staging, "new.txt"), "restored");
      writeFileSync(join(stateDir, "restore.json"), JSON.stringify({ snapshotId }));
      throw new StoreError("disk_full", "no room", true);
    };
    const failed = runStart({ snapshotId: "c".repeat(64) });
    data.send({ type: "run.start", run: failed });
    await data.messages.next((m) => m.type === "run.aborted" && m.runId === failed.runId);
    let found = "";
    under.restore = async () => {
      found = readFileSync(join(workspace, "new.txt"), "utf8");
    };
    // What this disk was equal to before the restore is not what is there now.
    await under.run({ snapshotId: "a".repeat(64) });
    expect(found).toBe("restored");
    expect(under.restores.all.map(({ snapshotId }) => snapshotId.slice(0, 1))).toEqual(["c", "a"]);
    expect(readdirSync(dirname(workspace)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("the lease comes back and nobody else has worked: the files on this disk are used as they are", async () => {
    const { data } = await idleSession();
    data.send({ type: "worker.stop", reason: "idle" });
    await under.plane.control.messages.next(({ type }) => type === "lease.release");
    data.forget();
    await under.lease(2);
    data.send({ type: "run.start", run: runStart({ snapshotId: "a".repeat(64) }) });
    await data.messages.next(({ type }) => type === "run.started");
    expect(under.restores.all).toEqual([]);
  });
});
