import { expect, test } from "vitest";
import { LIMITS, MAX_ATTEMPTS, TIMES } from "#protocol/limits.ts";
import { activeRun, queuedRuns } from "#protocol/session-view.ts";
import { deadlineName } from "../../../durable/session/commands.ts";
import { ADA, HOST_ID, permission, question, SESSION_ID, SessionScript } from "../../support/session-script.ts";

const REQUEST = `req_${SESSION_ID.slice(4)}-0000000001`;

test("[S-5] one run is active, follow-ups wait in order and each starts when the one before has ended", () => {
  const { script, runId: first } = SessionScript.withRun("running");
  const second = script.prompt("two");
  const third = script.prompt("three");
  expect(activeRun(script.view)?.id).toBe(first);
  expect(queuedRuns(script.view).map((run) => run.id)).toEqual([second, third]);
  script.sentToHost();
  script.finish(first);
  expect(activeRun(script.view)?.id).toBe(second);
  expect(script.sentToHost()).toMatchObject([{ type: "run.start", run: { runId: second, prompt: "two" } }]);
  script.finish(second);
  expect(activeRun(script.view)?.id).toBe(third);
});

test("[S-5] a prompt to an idle active worker goes straight to the host, without the fleet", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.finish(runId);
  script.effects = [];
  const next = script.prompt("again");
  expect(script.took("ask_fleet")).toEqual([]);
  expect(script.sentToHost()).toMatchObject([{ type: "run.start", run: { runId: next } }]);
});

test("[S-5] a prompt to a cold session asks the fleet once; a follow-up does not ask again", () => {
  const script = SessionScript.created();
  const runId = script.prompt("one");
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, sessionId: SESSION_ID, lastEpoch: 0 } }]);
  script.effects = [];
  script.prompt("two");
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId } }]);
});

test("[S-6] what the runner says after its run.finished, in the same batch or later, is dropped", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.runner(
    runId,
    { type: "message.stop", data: { messageId: "m", text: "done" } },
    { type: "run.finished", data: { outcome: "succeeded" } },
    { type: "run.finished", data: { outcome: "failed", reason: "internal" } },
    { type: "message.stop", data: { messageId: "late", text: "late" } },
  );
  expect(script.runner(runId, { type: "message.stop", data: { messageId: "later", text: "later" } })).toEqual([]);
  expect(script.log.filter((event) => event.type === "run.finished")).toHaveLength(1);
  expect(script.log.filter((event) => event.type === "message.stop")).toHaveLength(1);
});

test("[S-8] a queued run that is stopped is cancelled at once and withdrawn from the fleet", () => {
  const { script, runId } = SessionScript.withRun("queued");
  script.effects = [];
  script.do({ type: "stop", runId });
  expect(script.run(runId)).toMatchObject({ state: "finished", outcome: "cancelled" });
  expect(script.took("withdraw_request")).toEqual([{ type: "withdraw_request", runId }]);
});

test("[S-9] a run that was handed out is cancelling until its host confirms, and cancelled even when it had succeeded", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.sentToHost();
  script.do({ type: "stop", reason: "enough" });
  expect(script.run(runId).state).toBe("cancelling");
  expect(script.deadlines.get(deadlineName.cancel(runId))).toBe(script.now + TIMES.cancelDeadlineMs);
  expect(script.sentToHost()).toEqual([{ type: "run.stop", runId, reason: "enough" }]);
  script.runner(runId, { type: "run.status", data: { state: "running" } });
  expect(script.run(runId).state).toBe("cancelling");
  script.finish(runId);
  expect(script.run(runId)).toMatchObject({ state: "finished", outcome: "cancelled" });
  expect(script.deadlines.has(deadlineName.cancel(runId))).toBe(false);
});

test("[S-9] Stop leaves the queue; Stop & clear queue ends it", () => {
  const { script } = SessionScript.withRun("running");
  const waiting = script.prompt("later");
  script.do({ type: "stop" });
  expect(script.run(waiting).state).toBe("queued");
  script.do({ type: "stop", clearQueue: true });
  expect(script.run(waiting)).toMatchObject({ state: "finished", outcome: "cancelled" });
});

test("[S-10] a stop while a person is asked closes the question as cancelled and then cancels", () => {
  const { script, runId } = SessionScript.withRun("waiting");
  expect(script.view.pending).toHaveLength(1);
  const events = script.do({ type: "stop" });
  expect(events.map((event) => event.type)).toEqual(["human_loop.resolved", "run.status"]);
  expect(events[0]?.data).toMatchObject({ requestId: REQUEST, decision: "cancelled" });
  expect(script.view.pending).toEqual([]);
  expect(script.run(runId).state).toBe("cancelling");
});

test("[S-11] a request is answered once; the second is told who and when", () => {
  const { script } = SessionScript.withRun("waiting");
  script.sentToHost();
  script.do({ type: "reply", reply: { requestId: REQUEST, decision: "allow", scope: "session" } });
  expect(script.sentToHost()).toMatchObject([
    { type: "run.reply", reply: { requestId: REQUEST, decision: "allow", scope: "session" } },
  ]);
  const second = script.try({ type: "reply", reply: { requestId: REQUEST, decision: "deny", scope: "once" } });
  expect(second).toMatchObject({
    ok: false,
    reason: "already_answered",
    details: { by: { name: "Ada" }, at: script.now, decision: "allow" },
  });
});

test("[S-11] the answer has to fit what was asked", () => {
  const { script, runId } = SessionScript.withRun("running");
  const other = `req_${SESSION_ID.slice(4)}-0000000002`;
  script.runner(runId, permission(REQUEST), question(other));
  const reply = (requestId: string, decision: "allow" | "deny" | "answer", answers?: string[]) =>
    script.try({ type: "reply", reply: { requestId, decision, scope: "once", answers } });
  expect(reply(REQUEST, "answer", ["x"])).toMatchObject({ reason: "wrong_decision" });
  expect(reply(other, "allow")).toMatchObject({ reason: "wrong_decision" });
  expect(reply(other, "answer", [])).toMatchObject({ reason: "answer_missing" });
  expect(reply("req_unknown", "allow")).toMatchObject({ reason: "not_found" });
  expect(reply(other, "answer", ["blue"]).ok).toBe(true);
});

test("[S-12] a full queue refuses with queue_full and stores nothing", () => {
  const { script } = SessionScript.withRun("running");
  for (let i = 0; i < LIMITS.queuedRunsPerSession; i++) script.prompt(`follow-up ${i}`);
  const cursor = script.view.cursor;
  const refused = script.try({ type: "prompt", runId: "run_x", messageId: "m", prompt: { text: "one too many" } });
  expect(refused).toMatchObject({ ok: false, reason: "queue_full" });
  expect(script.view.cursor).toBe(cursor);
});

test("[S-14] a host lost before the start: tried again, and given up with host_lost after the last attempt", () => {
  const { script, runId } = SessionScript.withRun("assigned");
  for (let attempt = 2; attempt <= MAX_ATTEMPTS; attempt++) {
    script.effects = [];
    script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
    expect(script.run(runId)).toMatchObject({ state: "queued", attempt });
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, lastEpoch: script.view.epoch } }]);
    script.lease();
  }
  script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
  expect(script.run(runId)).toMatchObject({ state: "finished", outcome: "failed", reason: "host_lost" });
});

test("[S-14] the next attempt is not made at once, later each time, and the fleet is told whom to avoid", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  script.effects = [];
  script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "Host x is silent." });
  const nextAt = script.now + 1_000;
  expect(script.run(runId)).toMatchObject({ state: "queued", nextAt, failedHostId: HOST_ID });
  expect(script.run(runId)).toMatchObject({ detail: "Host x is silent. Attempt 2 of 3 follows in 1 s." });
  expect(script.took("ask_fleet")).toMatchObject([
    { request: { runId, attempt: 2, notBefore: nextAt, avoidHostId: HOST_ID } },
  ]);
  // What it waits for may change; when it is tried again does not.
  script.do({ type: "lease_waiting", runId, waitingFor: "All fitting hosts are busy." });
  expect(script.run(runId)).toMatchObject({ nextAt, detail: "All fitting hosts are busy." });
  script.lease();
  expect(script.run(runId)).not.toHaveProperty("nextAt");
  script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
  expect(script.run(runId)).toMatchObject({ attempt: 3, nextAt: script.now + 4_000 });
});

test("[S-26] a worker that failed before the start gives way, and the next attempt goes elsewhere; the third failure is the last", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  const fails = { type: "run.aborted", runId, reason: "container_failed", evidence: "no such image" } as const;
  for (let attempt = 2; attempt <= MAX_ATTEMPTS; attempt++) {
    script.effects = [];
    script.host(fails);
    expect(script.run(runId)).toMatchObject({ state: "queued", attempt });
    expect(script.view.worker.state).toBe("stopping");
    expect(script.took("send_host")).toMatchObject([{ message: { type: "worker.stop" } }]);
    expect(script.took("ask_fleet")).toEqual([]);
    script.host({ type: "worker.status", state: "stopped" });
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, attempt, avoidHostId: HOST_ID } }]);
    script.lease();
    script.host({ type: "run.accepted", runId });
  }
  script.effects = [];
  script.host(fails);
  expect(script.run(runId)).toMatchObject({ outcome: "failed", reason: "container_failed", evidence: "no such image" });
  expect(script.took("dead_letter")).toMatchObject([
    { letter: { runId, reason: "container_failed", evidence: "no such image", attempts: 3, begun: false } },
  ]);
});

test("[S-26] a worker that fails after the start is not replaced: the run may have worked", () => {
  const { script, runId } = SessionScript.withRun("running");
  script.host({ type: "run.aborted", runId, reason: "container_failed", evidence: "exit 137" });
  expect(script.run(runId)).toMatchObject({ outcome: "failed", reason: "container_failed" });
});

test("[S-29] what failed with its host or its worker is a dead letter; what failed or was stopped otherwise is none", () => {
  const lost = SessionScript.withRun("running");
  lost.script.do({ type: "lease_lost", epoch: lost.script.view.epoch, reason: "silent" });
  expect(lost.script.took("dead_letter")).toMatchObject([
    { letter: { runId: lost.runId, reason: "host_lost", attempts: 1, begun: true, requestedBy: ADA.id } },
  ]);
  for (const reason of ["rate_limited", "internal"] as const) {
    const { script, runId } = SessionScript.withRun("running");
    script.host({ type: "run.aborted", runId, reason, evidence: "said no" });
    expect(script.took("dead_letter")).toEqual([]);
  }
  const stopped = SessionScript.withRun("cancelling");
  stopped.script.do({ type: "lease_lost", epoch: stopped.script.view.epoch, reason: "silent" });
  expect(stopped.script.took("dead_letter")).toEqual([]);
});

test("[S-30] a run goes only to a worker whose host has its labels; another worker gives way and the fleet is asked with them", () => {
  const script = SessionScript.created();
  const plain = script.prompt("work");
  script.do({ type: "lease_granted", hostId: HOST_ID, epoch: 1, labels: { zone: "a", gpu: "no" } });
  script.host({ type: "worker.status", state: "active" });
  script.host({ type: "run.started", runId: plain });
  const here = script.prompt("here", { labels: { zone: "a" } });
  const there = script.prompt("there", { labels: { gpu: "yes" } });
  script.finish(plain);
  expect(script.run(here).state).toBe("assigned");
  script.effects = [];
  script.finish(here);
  expect(script.run(there).state).toBe("queued");
  expect(script.view.worker.state).toBe("stopping");
  script.host({ type: "worker.status", state: "stopped" });
  expect(script.took("ask_fleet")).toMatchObject([{ request: { runId: there, labels: { gpu: "yes" } } }]);
  script.do({ type: "lease_granted", hostId: "hst_bbbbbbbbbbbbbbbbbbbb", epoch: 2, labels: { gpu: "yes" } });
  expect(script.run(there).state).toBe("assigned");
});

test("[S-24] a run whose start was announced is not repeated, whatever was heard of it since", () => {
  const { script, runId } = SessionScript.withRun("preparing");
  expect(script.host({ type: "run.started", runId })).toMatchObject([
    { type: "run.status", data: { state: "running" } },
  ]);
  // Said again after a restart of the host.
  expect(script.host({ type: "run.started", runId })).toEqual([]);
  script.effects = [];
  script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
  expect(script.run(runId)).toMatchObject({ state: "finished", outcome: "failed", reason: "host_lost" });
  expect(script.took("ask_fleet")).toEqual([]);
});

test("[S-15] a host lost after the start fails the run, unless it opted into a retry", () => {
  const lost = SessionScript.withRun("running");
  lost.script.do({ type: "lease_lost", epoch: lost.script.view.epoch, reason: "silent" });
  expect(lost.script.run(lost.runId)).toMatchObject({ state: "finished", outcome: "failed", reason: "host_lost" });
  const retried = SessionScript.withRun("running", { retryOn: ["host_lost"] });
  retried.script.do({ type: "lease_lost", epoch: retried.script.view.epoch, reason: "silent" });
  expect(retried.script.run(retried.runId)).toMatchObject({ state: "queued", attempt: 2 });
});

test("[S-19] every unfinished state but waiting has its deadline", () => {
  const names = {
    queued: "queue",
    assigned: "prepare",
    preparing: "prepare",
    running: "timeout",
    cancelling: "cancel",
  } as const;
  for (const [state, kind] of Object.entries(names) as [keyof typeof names, (typeof names)[keyof typeof names]][]) {
    const { script, runId } = SessionScript.withRun(state);
    expect([...script.deadlines.keys()], state).toEqual([deadlineName[kind](runId)]);
  }
});

test("[S-20] while a run waits for a person, no machine timer ends it; its limit is back when it goes on", () => {
  const { script, runId } = SessionScript.withRun("waiting");
  expect([...script.deadlines.keys()]).toEqual([deadlineName.park(runId)]);
  script.now += 30 * 3_600_000;
  script.do({ type: "reply", reply: { requestId: REQUEST, decision: "allow", scope: "once" } });
  script.runner(runId, { type: "run.status", data: { state: "running" } });
  expect(script.deadlines.get(deadlineName.timeout(runId))).toBeGreaterThan(script.now + TIMES.runTimeoutMs);
  script.finish(runId);
  expect(script.run(runId)).toMatchObject({ outcome: "succeeded" });
});

test("[S-13] a grant under an old epoch is refused, and so is a host's message", () => {
  const { script, runId } = SessionScript.withRun("running");
  const epoch = script.view.epoch;
  script.do({ type: "lease_lost", epoch, reason: "silent" });
  script.prompt("next");
  expect(script.try({ type: "lease_granted", hostId: HOST_ID, epoch })).toMatchObject({
    ok: false,
    reason: "stale_epoch",
  });
  script.lease();
  const late = script.try({
    type: "host_message",
    epoch,
    message: { type: "run.events", runId, events: [{ type: "run.finished", data: { outcome: "succeeded" } }] },
  });
  expect(late).toMatchObject({ ok: false, reason: "stale_epoch" });
});

test("[S-18] a grant that nobody needs any more is refused", () => {
  const { script, runId } = SessionScript.withRun("queued");
  script.do({ type: "stop", runId });
  expect(script.try({ type: "lease_granted", hostId: HOST_ID, epoch: 1 })).toMatchObject({
    ok: false,
    reason: "not_needed",
  });
});
