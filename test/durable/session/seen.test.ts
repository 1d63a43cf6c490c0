/** A request expires only after a person was shown it. */
import { describe, expect, test } from "vitest";
import { deadlineName } from "../../../durable/session/commands.ts";
import { deadlinesOf } from "../../../durable/session/decide-reconcile.ts";
import { EXPIRED, hasUnseen, isAsked, viewerRefusal } from "../../../durable/session/seen.ts";
import { ADA, permission, SESSION_ID, SessionScript } from "../../support/session-script.ts";

const FIRST = `req_${SESSION_ID.slice(4)}-0000000001`;
const WITHIN_MS = 60_000;
const HOUR = 60 * 60_000;

/** A run that waits for FIRST, with its conversation known. */
function asking(humanLoopTimeoutMs?: number): { script: SessionScript; runId: string; seq: number } {
  const script = SessionScript.created();
  const runId = script.prompt("work", { humanLoopTimeoutMs });
  script.lease();
  script.host({ type: "worker.status", state: "active" });
  script.host({ type: "run.started", runId });
  const asked = permission(FIRST);
  // What a runner says of times counts for nothing.
  const data = { ...asked.data, expiresAt: 5, answerWithinMs: 5 };
  script.runner(
    runId,
    { type: "run.status", data: { state: "waiting", conversationId: "talk-1" } },
    { ...asked, data },
  );
  script.effects = [];
  return { script, runId, seq: script.view.cursor };
}

const saw = (script: SessionScript, cursor: number) => script.do({ type: "saw", cursor });

describe("[S-50] a request expires", () => {
  test("never, when nobody said how long people may take", () => {
    const { script, seq } = asking();
    expect(hasUnseen(script.view)).toBe(false);
    expect(saw(script, seq)).toEqual([]);
    expect(script.view.pending[0]).not.toHaveProperty("expiresAt");
    expect(script.deadline(deadlineName.expire(FIRST))).toEqual([]);
  });

  test("not before a person was shown it, however long that takes", () => {
    const { script, seq } = asking(WITHIN_MS);
    expect(script.view.pending[0]).toMatchObject({ answerWithinMs: WITHIN_MS });
    script.now += 30 * HOUR;
    expect(script.deadlines.has(deadlineName.expire(FIRST))).toBe(false);
    expect(script.deadline(deadlineName.expire(FIRST))).toEqual([]);
    // A page that is not that far has not shown it.
    expect(saw(script, seq - 1)).toEqual([]);
    saw(script, seq);
    const expiresAt = script.now + WITHIN_MS;
    expect(script.view.pending[0]).toMatchObject({ seenBy: ADA, expiresAt });
    expect(script.deadlines.get(deadlineName.expire(FIRST))).toBe(expiresAt);
    expect(deadlinesOf(script.view, script.now)).toContainEqual({ name: deadlineName.expire(FIRST), at: expiresAt });
    // The second look starts nothing anew.
    script.now += 1_000;
    expect(saw(script, seq)).toEqual([]);
    expect(hasUnseen(script.view)).toBe(false);
  });

  test("not because somebody saw it who may not answer, and whose answer is refused", () => {
    const watcher = { actor: ADA, mayReply: false };
    const program = { actor: { id: "svc_00000000000000000001", name: "A program" }, mayReply: true };
    expect([isAsked({ ...watcher, mayReply: true }), isAsked(watcher), isAsked(program)]).toEqual([true, false, false]);
    expect(viewerRefusal({ type: "reply" }, watcher)).toMatchObject({ ok: false, reason: "forbidden" });
    expect(viewerRefusal({ type: "reply" }, program)).toBe(undefined);
    expect(viewerRefusal({ type: "stop" }, watcher)).toBe(undefined);
  });

  test("as a refusal that the agent is told, and that people see", () => {
    const { script, runId, seq } = asking(WITHIN_MS);
    saw(script, seq);
    script.deadline(deadlineName.expire(FIRST));
    expect(script.sentToHost()).toEqual([
      { type: "run.reply", runId, reply: { requestId: FIRST, decision: "deny", scope: "once", reason: EXPIRED } },
    ]);
    expect(script.view.pending).toEqual([]);
    expect(script.view.resolved).toMatchObject([{ requestId: FIRST, decision: "expired" }]);
    const late = script.try({ type: "reply", reply: { requestId: FIRST, decision: "allow", scope: "once" } });
    expect(late).toMatchObject({ ok: false, reason: "already_answered" });
    expect(script.run(runId).state).toBe("waiting");
  });

  test("also while its run is parked, which goes on with the refusal", () => {
    const { script, runId, seq } = asking(WITHIN_MS);
    script.deadline(deadlineName.park(runId));
    script.host({ type: "worker.status", state: "stopped" });
    saw(script, seq);
    script.effects = [];
    script.deadline(deadlineName.expire(FIRST));
    expect(script.run(runId)).toMatchObject({ state: "queued", given: [{ decision: "deny", reason: EXPIRED }] });
    expect(script.took("ask_fleet")).toHaveLength(1);
  });

  test("no more once it was answered", () => {
    const { script, seq } = asking(WITHIN_MS);
    saw(script, seq);
    script.do({ type: "reply", reply: { requestId: FIRST, decision: "allow", scope: "once" } });
    expect(script.deadlines.has(deadlineName.expire(FIRST))).toBe(false);
    expect(script.deadline(deadlineName.expire(FIRST))).toEqual([]);
  });
});
