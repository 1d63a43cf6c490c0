/** A run that waits for a person for long lets go of its worker and goes on with the answer. */
import { describe, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import { isParked } from "#protocol/run-view.ts";
import { activeRun } from "#protocol/session-view.ts";
import { deadlineName } from "../../../durable/session/commands.ts";
import { deadlinesOf, decideReconcile } from "../../../durable/session/decide-reconcile.ts";
import { HOST_ID, permission, question, SESSION_ID, SessionScript } from "../../support/session-script.ts";

const FIRST = `req_${SESSION_ID.slice(4)}-0000000001`;
const SECOND = `req_${SESSION_ID.slice(4)}-0000000002`;
const HOUR = 60 * 60_000;

/** Waiting for FIRST; the provider has a conversation that can be resumed, unless told otherwise. */
function waiting(resumable = true): { script: SessionScript; runId: string } {
  const { script, runId } = SessionScript.withRun("waiting");
  if (resumable) script.runner(runId, { type: "run.status", data: { state: "waiting", conversationId: "talk-1" } });
  script.effects = [];
  return { script, runId };
}

function parked(): { script: SessionScript; runId: string } {
  const { script, runId } = waiting();
  script.deadline(deadlineName.park(runId));
  return { script, runId };
}

/** What the host says when its worker is stopped under a run that waits. */
function hostStops(script: SessionScript, runId: string): void {
  script.runner(
    runId,
    { type: "human_loop.resolved", data: { requestId: FIRST, decision: "cancelled" } },
    { type: "run.finished", data: { outcome: "cancelled" } },
  );
  script.host({ type: "worker.status", state: "stopped" });
}

const allow = (requestId = FIRST) =>
  ({ type: "reply", reply: { requestId, decision: "allow", scope: "once" } }) as const;

describe("[S-40] parking", () => {
  test("takes its time, keeps the request open, and saves and stops the worker", () => {
    const { script, runId } = waiting();
    expect(script.deadlines.get(deadlineName.park(runId))).toBe(script.now + TIMES.parkAfterMs);
    script.deadline(deadlineName.park(runId));
    expect(script.sentToHost()).toEqual([{ type: "worker.stop", reason: "parked" }]);
    hostStops(script, runId);
    expect(isParked(script.run(runId))).toBe(true);
    expect(script.view.pending).toMatchObject([{ requestId: FIRST }]);
    expect(script.view.worker).toMatchObject({ state: "stopped", hostId: HOST_ID });
    expect(script.took("release_lease")).toHaveLength(1);
    expect(script.log.filter((event) => event.type === "run.finished")).toEqual([]);
  });

  test("is not for a conversation that cannot be taken up again, nor for a run that goes on", () => {
    const { script, runId } = waiting(false);
    expect(script.deadline(deadlineName.park(runId))).toEqual([]);
    const { script: busy, runId: other } = SessionScript.withRun("running");
    busy.runner(other, { type: "run.status", data: { state: "running", conversationId: "talk-1" } });
    expect(busy.deadline(deadlineName.park(other))).toEqual([]);
  });

  test("an answer in time takes the deadline back", () => {
    const { script, runId } = waiting();
    script.do(allow());
    script.runner(runId, { type: "run.status", data: { state: "running" } });
    expect(script.deadlines.has(deadlineName.park(runId))).toBe(false);
  });

  test("makes room for others once people had a moment to answer", () => {
    const { script, runId } = waiting();
    const yielded = () => script.do({ type: "yield_worker", epoch: script.view.epoch });
    expect(yielded()).toEqual([]);
    script.now += TIMES.parkForOthersAfterMs;
    expect(yielded()).toHaveLength(2);
    expect(isParked(script.run(runId))).toBe(true);
  });

  test("follow-ups wait behind it, whatever the worker does", () => {
    const { script, runId } = parked();
    const next = script.prompt("and then this");
    script.effects = [];
    script.deadline(deadlineName.workerStop);
    hostStops(script, runId);
    expect(script.run(next).state).toBe("queued");
    expect(script.took("ask_fleet")).toEqual([]);
    expect(script.try({ type: "lease_granted", hostId: HOST_ID, epoch: script.view.epoch + 1 })).toMatchObject({
      reason: "not_needed",
    });
  });

  test("a worker that could not be saved is kept and tried again", () => {
    const { script, runId } = parked();
    script.deadline(deadlineName.workerStop);
    expect(script.view.worker.state).toBe("active");
    expect(isParked(script.run(runId))).toBe(true);
    script.effects = [];
    script.deadline(deadlineName.park(runId));
    expect(script.sentToHost()).toEqual([{ type: "worker.stop", reason: "parked" }]);
  });

  test("a host that is lost meanwhile does not end it", () => {
    const { script, runId } = parked();
    script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
    expect(script.view.worker.state).toBe("cold");
    script.effects = [];
    script.do(allow());
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId } }]);
  });

  test("is nothing that a sweep would mend", () => {
    const { script, runId } = parked();
    hostStops(script, runId);
    expect(decideReconcile(script.view, script.now + 30 * HOUR)).toEqual([]);
    expect(deadlinesOf(script.view, script.now)).toEqual([]);
    const { script: asked, runId: other } = waiting();
    expect(deadlinesOf(asked.view, asked.now).map(({ name }) => name)).toEqual([deadlineName.park(other)]);
  });

  test("a provider that failed under it ends it as what it is", () => {
    const { script, runId } = parked();
    script.runner(runId, { type: "run.finished", data: { outcome: "failed", reason: "auth_rejected" } });
    expect(script.run(runId)).toMatchObject({ outcome: "failed", reason: "auth_rejected" });
    expect(script.view.pending).toEqual([]);
  });

  test("a stop ends it at once, and what waits behind it begins", () => {
    const { script, runId } = parked();
    const next = script.prompt("and then this");
    hostStops(script, runId);
    script.effects = [];
    script.do({ type: "stop", runId });
    expect(script.run(runId)).toMatchObject({ state: "finished", outcome: "cancelled" });
    expect(script.view.pending).toEqual([]);
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId: next } }]);
  });
});

describe("[S-41] the answer to a parked run", () => {
  test("after thirty hours: queued, placed, and started with the answer in its own conversation", () => {
    const { script, runId } = parked();
    hostStops(script, runId);
    script.now += 30 * HOUR;
    script.effects = [];
    script.do(allow());
    expect(script.run(runId).state).toBe("queued");
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId, preferHostId: HOST_ID } }]);
    script.effects = [];
    script.lease();
    const [start] = script.sentToHost();
    expect(start).toMatchObject({
      type: "run.start",
      run: {
        runId,
        part: 1,
        conversationId: "talk-1",
        given: [{ kind: "permission", decision: "allow", scope: "once" }],
      },
    });
    expect((start as { run: { prompt: string } }).run.prompt).toContain("allowed");
    script.host({ type: "run.started", runId });
    expect(activeRun(script.view)?.id).toBe(runId);
    script.finish(runId);
    expect(script.log.filter((event) => event.type === "run.finished")).toHaveLength(1);
  });

  test("is not sent to the worker that is on its way out", () => {
    const { script, runId } = parked();
    script.effects = [];
    script.do(allow());
    expect(script.sentToHost()).toEqual([]);
    // What its host had still to say about the part before is no news.
    script.runner(runId, { type: "run.finished", data: { outcome: "cancelled" } });
    expect(script.run(runId).state).toBe("queued");
    expect(script.took("ask_fleet")).toEqual([]);
    script.host({ type: "worker.status", state: "stopped" });
    expect(script.took("ask_fleet")).toMatchObject([{ request: { runId } }]);
  });

  test("counts once, and the second one is told who was first", () => {
    const { script } = parked();
    script.do(allow());
    expect(script.try(allow())).toMatchObject({ ok: false, reason: "already_answered" });
  });

  test("waits for the last of several requests, and brings all answers along", () => {
    const { script, runId } = waiting();
    script.runner(runId, question(SECOND));
    script.deadline(deadlineName.park(runId));
    hostStops(script, runId);
    script.do({ type: "reply", reply: { requestId: FIRST, decision: "deny", scope: "once", reason: "too risky" } });
    expect(isParked(script.run(runId))).toBe(true);
    script.do({ type: "reply", reply: { requestId: SECOND, decision: "answer", scope: "once", answers: ["blue"] } });
    script.effects = [];
    script.lease();
    const run = (script.sentToHost()[0] as { run: { prompt: string; given: unknown[] } }).run;
    expect(run.given).toMatchObject([
      { kind: "permission", decision: "deny", reason: "too risky" },
      { kind: "question", decision: "answer", answers: ["blue"] },
    ]);
    expect(run.prompt).toMatch(/denied \(too risky\)[\s\S]*blue/);
  });

  test("is kept when the next host is lost before it started, and used up when it has", () => {
    const { script, runId } = parked();
    hostStops(script, runId);
    script.do(allow());
    script.lease();
    script.do({ type: "lease_lost", epoch: script.view.epoch, reason: "silent" });
    script.effects = [];
    script.lease();
    expect(script.sentToHost()).toMatchObject([{ run: { part: 1, given: [{ decision: "allow" }] } }]);
    script.host({ type: "run.started", runId });
    script.runner(runId, permission(SECOND), {
      type: "run.status",
      data: { state: "waiting", conversationId: "talk-1" },
    });
    script.host({ type: "worker.status", state: "active" });
    script.deadline(deadlineName.park(runId));
    expect(script.run(runId)).toMatchObject({ part: 2, given: [] });
  });
});
