import { expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { deadlineName } from "../../../durable/session/commands.ts";
import { HOST_ID, SessionScript } from "../../support/session-script.ts";

const SNAPSHOT = "a".repeat(64);
const commit = (epoch: number, hostId = HOST_ID) =>
  ({
    type: "snapshot_committed",
    commit: { hostId, epoch, snapshotId: SNAPSHOT, files: 1, bytes: 5, bytesSent: 9, traceId: "t" },
  }) as const;

function idleSession(): SessionScript {
  const { script, runId } = SessionScript.withRun("running");
  script.finish(runId);
  script.effects = [];
  return script;
}

test("[S-16] an idle worker is told to stop after its time, and is gone only when the host says so", () => {
  const script = idleSession();
  expect(script.deadlines.get(deadlineName.idle)).toBe(script.now + TIMES.idleStopMs);
  script.deadline(deadlineName.idle);
  expect(script.view.worker.state).toBe("stopping");
  expect(script.sentToHost()).toEqual([{ type: "worker.stop", reason: "idle" }]);
  script.host({ type: "worker.status", state: "stopped" });
  expect(script.view.worker).toMatchObject({ state: "stopped", hostId: HOST_ID });
  expect(script.took("release_lease")).toEqual([{ type: "release_lease", epoch: script.view.epoch }]);
});

test("[P-41] how many files are not saved is in the view when the host has said it with its last failure", () => {
  const script = idleSession();
  script.host({ type: "sync.failed", reason: "the store answers 503", attempt: 1, retryInMs: 1_000, files: 3 });
  expect(script.view.workspace.failure).toMatchObject({ attempt: 1, files: 3 });
  script.host({ type: "sync.failed", reason: "the store answers 503", attempt: 2, retryInMs: 2_000 });
  expect(script.view.workspace.failure?.files).toBeUndefined();
});

test("[S-16] a worker that could not be saved stays, visibly, and takes work again", () => {
  const script = idleSession();
  script.deadline(deadlineName.idle);
  script.host({ type: "sync.failed", reason: "the store answers 503", attempt: 1, retryInMs: 1_000 });
  expect(script.view.workspace.failure).toMatchObject({
    reason: "the store answers 503",
    attempt: 1,
    nextAt: script.now + 1_000,
  });
  script.deadline(deadlineName.workerStop);
  expect(script.view.worker.state).toBe("active");
  expect(script.took("release_lease")).toEqual([]);
  script.effects = [];
  script.prompt("go on");
  expect(script.sentToHost()).toMatchObject([{ type: "run.start" }]);
});

test("[S-53] a host that begins to stop a worker in the moment in which it is given a run is not told to end that", () => {
  const script = idleSession();
  const runId = script.prompt("go on");
  expect(script.sentToHost()).toMatchObject([{ type: "run.start" }]);
  script.effects = [];
  script.host({ type: "worker.status", state: "stopping", detail: "the host drains" });
  expect(script.sentToHost()).toEqual([]);
  script.host({ type: "worker.status", state: "active" });
  script.host({ type: "run.started", runId });
  expect(script.run(runId).state).toBe("running");

  // It did not see the run: its word that the worker is gone says so.
  const gone = idleSession();
  const lost = gone.prompt("go on");
  gone.host({ type: "worker.status", state: "stopping", detail: "the host drains" });
  gone.host({ type: "worker.status", state: "stopped" });
  expect(gone.run(lost).state).toBe("queued");
});

const SAVE_BLOCKED = { type: "sync.failed", reason: "the store answers 503", attempt: 12, blocked: true } as const;

test("[S-42] a blocked workspace waits for a person, who may ask for more tries", () => {
  const script = idleSession();
  script.host({ type: "sync.failed", reason: "the store answers 503", attempt: 1, retryInMs: 1_000 });
  expect(script.try({ type: "decide_sync", choice: "discard", reason: "old" })).toMatchObject({
    reason: "still_trying",
  });
  script.host(SAVE_BLOCKED);
  expect(script.view.workspace.failure).toMatchObject({ blocked: true, attempt: 12 });
  for (const choice of ["retry", "extend"] as const) {
    script.effects = [];
    script.do({ type: "decide_sync", choice });
    expect(script.sentToHost()).toEqual([{ type: "sync.decide", choice }]);
    expect(script.view.workspace.failure).toMatchObject({ blocked: false, nextAt: script.now });
    script.host(SAVE_BLOCKED);
  }
  script.do(commit(script.view.epoch));
  expect(script.view.workspace.failure).toBeUndefined();
  expect(script.try({ type: "decide_sync", choice: "retry" })).toMatchObject({ reason: "nothing_to_decide" });
});

test("[S-42] unsaved work is given up with a reason, by name, never under a run; then the worker stops", () => {
  const script = idleSession();
  script.host(SAVE_BLOCKED);
  expect(script.try({ type: "decide_sync", choice: "discard" })).toMatchObject({ reason: "reason_missing" });
  script.do({ type: "decide_sync", choice: "discard", reason: "only caches" });
  expect(script.view.workspace).toMatchObject({
    discarded: { reason: "only caches", by: { name: expect.any(String) } },
  });
  expect(script.view.workspace.failure).toBeUndefined();
  expect(script.sentToHost().map(({ type }) => type)).toEqual(["sync.decide", "worker.stop"]);
  const { script: busy } = SessionScript.withRun("running");
  busy.host(SAVE_BLOCKED);
  expect(busy.try({ type: "decide_sync", choice: "discard", reason: "x" })).toMatchObject({ reason: "run_active" });
});

test("[S-16] a prompt to a stopping worker waits for the end of the stop and then asks the fleet for the warm host", () => {
  const script = idleSession();
  script.deadline(deadlineName.idle);
  script.effects = [];
  const runId = script.prompt("quick");
  expect(script.took("ask_fleet")).toEqual([]);
  script.host({ type: "worker.status", state: "stopped" });
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, preferHostId: HOST_ID } }]);
});

test("[S-43] [S-19] a worker that was started for a run that is gone, and never becomes active, is told to stop", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  expect(script.view.worker.state).toBe("starting");
  script.do({ type: "stop", runId });
  script.deadline(deadlineName.cancel(runId));
  expect(script.run(runId)).toMatchObject({ outcome: "cancelled" });
  expect(script.deadlines.get(deadlineName.workerStart)).toBe(script.now + TIMES.prepareDeadlineMs);
  script.effects = [];
  script.deadline(deadlineName.workerStart);
  expect(script.view.worker.state).toBe("stopping");
  expect(script.sentToHost()).toMatchObject([{ type: "worker.stop" }]);
  expect([...script.deadlines.keys()]).toEqual([deadlineName.workerStop]);
  script.host({ type: "worker.status", state: "stopped" });
  expect([...script.deadlines.keys()]).toEqual([]);
});

test("[S-43] one that becomes active in time, or that another run wants, stays", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  script.do({ type: "stop", runId });
  script.deadline(deadlineName.cancel(runId));
  const { script: wanted, runId: gone } = SessionScript.withRun("preparing");
  wanted.do({ type: "stop", runId: gone });
  wanted.deadline(deadlineName.cancel(gone));
  script.host({ type: "worker.status", state: "active" });
  expect([...script.deadlines.keys()]).toEqual([deadlineName.idle]);
  script.deadline(deadlineName.workerStart);
  expect(script.view.worker.state).toBe("active");
  const next = wanted.prompt("go on");
  wanted.deadline(deadlineName.workerStart);
  expect(wanted.view.worker.state).toBe("starting");
  expect(wanted.run(next).state).toBe("assigned");
});

test("[S-17] a snapshot counts under the current epoch of the host that holds the lease, and nowhere else", () => {
  const { script } = SessionScript.withRun("running");
  const epoch = script.view.epoch;
  expect(script.try(commit(epoch - 1))).toMatchObject({ ok: false, reason: "stale_epoch" });
  expect(script.try(commit(epoch, "hst_bbbbbbbbbbbbbbbbbbbb"))).toMatchObject({ ok: false, reason: "stale_epoch" });
  script.do(commit(epoch));
  expect(script.view.workspace).toMatchObject({ snapshotId: SNAPSHOT, files: 1 });
  expect(script.do(commit(epoch))).toEqual([]);
  script.do({ type: "lease_lost", epoch, reason: "silent" });
  expect(script.try(commit(epoch))).toMatchObject({ ok: false, reason: "stale_epoch" });
});

test("[S-17] the next run is told which snapshot its workspace has to be", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.do(commit(script.view.epoch));
  script.finish(runId);
  script.effects = [];
  script.prompt("next");
  expect(script.sentToHost()).toMatchObject([{ type: "run.start", run: { snapshotId: SNAPSHOT } }]);
});

test("[S-21] a deleted session refuses people, ends its runs and stops its worker", () => {
  const { script, runId } = SessionScript.withRun("running");
  const waiting = script.prompt("later");
  script.sentToHost();
  script.do({ type: "remove" });
  expect(script.view.deleted).toBe(true);
  expect(script.run(waiting)).toMatchObject({ outcome: "cancelled" });
  expect(script.try({ type: "prompt", runId: "r", messageId: "m", prompt: { text: "hello?" } })).toMatchObject({
    reason: "gone",
  });
  script.finish(runId);
  expect(script.run(runId)).toMatchObject({ outcome: "cancelled" });
  expect(script.sentToHost()).toMatchObject([{ type: "run.stop" }, { type: "worker.stop" }]);
});

test("[S-13] the worker's epoch never shrinks, whatever is granted, lost and granted again", () => {
  const script = SessionScript.created();
  const seen: number[] = [];
  for (const epoch of [1, 3, 4, 9]) {
    script.prompt("work");
    script.lease(epoch);
    seen.push(script.view.epoch);
    script.do({ type: "lease_lost", epoch, reason: "silent" });
    seen.push(script.view.epoch);
  }
  expect(seen).toEqual([1, 1, 3, 3, 4, 4, 9, 9]);
});

test("[S-22] an idle worker makes room when it is asked; a busy one, and one under another epoch, stays", () => {
  const idle = idleSession();
  idle.do({ type: "yield_worker", epoch: idle.view.epoch - 1 });
  expect(idle.view.worker.state).toBe("active");
  idle.do({ type: "yield_worker", epoch: idle.view.epoch });
  expect(idle.view.worker.state).toBe("stopping");
  expect(idle.sentToHost()).toMatchObject([{ type: "worker.stop" }]);
  const { script: busy } = SessionScript.withRun("running");
  expect(busy.do({ type: "yield_worker", epoch: busy.view.epoch })).toEqual([]);
});

test("[F-20] a host that went away before its session heard of the lease: the run asks for another", () => {
  const script = SessionScript.created();
  const runId = script.prompt("work");
  script.effects = [];
  script.do({ type: "lease_lost", epoch: 1, reason: "away", unlessBegun: true });
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, lastEpoch: 1 } }]);
  // The grant that was on its way comes too late.
  expect(script.try({ type: "lease_granted", hostId: HOST_ID, epoch: 1 })).toMatchObject({ reason: "stale_epoch" });
});
