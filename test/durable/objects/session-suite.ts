/**
 * What a session does, on real workerd, through its own doors. The suite runs twice: as it is, and with both objects
 * evicted between any two steps; the outcomes are the same.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunEvent, SessionEvent } from "#protocol/events.ts";
import { objectName } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page, readStream } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedLink } from "../../support/scripted-host.ts";
import { permission } from "../../support/session-script.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

const delta = (messageId: string, ...chunks: unknown[]): RunEvent => ({
  type: "message.delta",
  data: { messageId, chunks: chunks as never },
});
const text = (messageId: string, id: string, words: string): RunEvent =>
  delta(messageId, { type: "text-start", id }, { type: "text-delta", id, delta: words }, { type: "text-end", id });
const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };

type Started = {
  page: Page;
  host: ScriptedHost;
  data: ScriptedLink;
  sessionId: string;
  runId: string;
  epoch: number;
  assignment: never;
};

export function sessionSuite(name: string, options: { evictBetweenSteps: boolean }): void {
  describe(name, () => {
    let plane: TestControlPlane;
    let host: ScriptedHost;
    let evictions = 0;

    beforeAll(async () => {
      plane = await sharedControlPlane();
      const { joinToken = "" } = await plane.bootstrap("joinToken");
      host = await ScriptedHost.online(plane.url, joinToken, { slots: 100 });
    });
    afterAll(async () => {
      await plane?.dispose();
      // A suite that evicted nothing has shown nothing.
      if (options.evictBetweenSteps) expect(evictions).toBeGreaterThan(20);
    });

    /** Between two steps: in the second run the objects lose their memory here. */
    async function step(sessionId: string): Promise<void> {
      if (!options.evictBetweenSteps) return;
      await evict("SessionObject", sessionId);
      await evict("FleetObject", "default");
    }

    async function evict(className: string, id: string): Promise<void> {
      try {
        await plane.evict(className, objectName(plane.organizationId, id), { webSockets: "hibernate" });
        evictions++;
      } catch (error) {
        // Out of memory already is what was wanted.
        if (!String(error).includes("not currently running")) throw error;
      }
    }

    /** A session with a run that its host has started. */
    async function started(prompt = "work"): Promise<Started> {
      const sessionId = await newSession(plane);
      const page = await Page.open(plane, sessionId);
      await step(sessionId);
      const answer = await page.ask({ type: "prompt", prompt: { text: prompt } });
      if (!answer.ok || !answer.runId) throw new Error(JSON.stringify(answer));
      const { assignment, data } = await host.takeAssignment();
      await step(sessionId);
      const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
      await data.acknowledged(data.send({ type: "run.accepted", runId: run.runId }));
      await data.acknowledged(data.send({ type: "worker.status", state: "active" }));
      await step(sessionId);
      await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
      await step(sessionId);
      return {
        page,
        host,
        data,
        sessionId,
        runId: answer.runId,
        epoch: assignment.epoch,
        assignment: assignment as never,
      };
    }

    test("[S-1] [S-3] [P-21] [P-23] a run's events reach a page and SSE once, in order, without a gap", async () => {
      const { page, data, sessionId, runId } = await started();
      await data.acknowledged(data.send({ type: "run.events", runId, events: [text("m", "1", "Hello")] }));
      await step(sessionId);
      await data.acknowledged(
        data.send({
          type: "run.events",
          runId,
          events: [{ type: "message.stop", data: { messageId: "m", text: "Hello" } }],
        }),
      );
      await step(sessionId);
      await data.acknowledged(data.send({ type: "run.events", runId, events: [finished] }));
      await page.until("the run to finish", (view) => view.runs[0]?.state === "finished");
      expect(page.events.map((event) => event.seq)).toEqual(page.events.map((_event, index) => index + 1));
      const streamed = await readStream(plane, `/api/runs/${runId}/stream`);
      expect(streamed.map(({ event }) => event)).toEqual(page.events.filter((event) => event.runId === runId));
      expect(streamed.every(({ id, event }) => id === event.seq)).toBe(true);
      for (let cursor = 1; cursor <= page.view.cursor; cursor++) {
        const late = await Page.open(plane, sessionId, cursor);
        expect(late.events, `from ${cursor}`).toEqual(page.events.slice(cursor));
        late.close();
      }
      const reloaded = await Page.open(plane, sessionId);
      expect(reloaded.view).toEqual(page.view);
      expect(reloaded.transcript).toEqual(page.transcript);
    });

    test("[S-5] follow-ups wait on the server and start in order, in the same worker", async () => {
      const { page, data, sessionId, runId } = await started();
      const second = await page.ask({ type: "prompt", prompt: { text: "two" } });
      await step(sessionId);
      const third = await page.ask({ type: "prompt", prompt: { text: "three" } });
      expect(page.view.runs.map((run) => run.state)).toEqual(["running", "queued", "queued"]);
      await step(sessionId);
      data.send({ type: "run.events", runId, events: [finished] });
      const start = await data.message<{ type: string; run: RunStart }>("run.start");
      expect(second.ok && second.runId).toBe(start.run.runId);
      await step(sessionId);
      data.send({ type: "run.events", runId: start.run.runId, events: [finished] });
      const next = await data.message<{ type: string; run: RunStart }>("run.start");
      expect(third.ok && third.runId).toBe(next.run.runId);
    });

    test("[S-2] the same command again has no second effect; with another body it is refused", async () => {
      const { page, sessionId } = await started();
      const first = await page.ask({ type: "prompt", prompt: { text: "once" } }, "cmd-1");
      await step(sessionId);
      page.frames.length = 0;
      const again = await page.ask({ type: "prompt", prompt: { text: "once" } }, "cmd-1");
      expect(again).toEqual(first);
      await step(sessionId);
      page.frames.length = 0;
      expect(await page.ask({ type: "prompt", prompt: { text: "other" } }, "cmd-1")).toMatchObject({
        ok: false,
        reason: "idempotency_conflict",
      });
      expect(page.view.runs).toHaveLength(2);
    });

    test("[S-11] a permission is answered once, through any door, and the host hears it once", async () => {
      const { page, data, sessionId, runId } = await started();
      const requestId = `req_${sessionId.slice(4)}-0000000001`;
      await data.acknowledged(
        data.send({
          type: "run.events",
          runId,
          events: [permission(requestId), { type: "run.status", data: { state: "waiting" } }],
        }),
      );
      await page.until("the run to wait", (view) => view.runs[0]?.state === "waiting");
      await step(sessionId);
      const pending = (await (await plane.call(`/api/human-loop/pending?sessionId=${sessionId}`)).json()) as {
        requests: { id: string }[];
      };
      expect(pending.requests.map((request) => request.id)).toEqual([requestId]);
      const reply = { requestId, decision: "allow", scope: "once" } as const;
      const answer = await plane.call("/api/human-loop/reply", { method: "POST", body: reply });
      expect(answer.status).toBe(200);
      await step(sessionId);
      expect(await page.ask({ type: "reply", reply: { ...reply, decision: "deny" } })).toMatchObject({
        ok: false,
        reason: "already_answered",
      });
      expect(
        (await plane.call("/api/human-loop/reply", { method: "POST", body: { ...reply, decision: "deny" } })).status,
      ).toBe(409);
      expect(await data.message("run.reply")).toMatchObject({ runId, reply: { requestId, decision: "allow" } });
      expect(
        data.frames.filter((frame) => (frame.message as { type?: string } | undefined)?.type === "run.reply"),
      ).toHaveLength(1);
    });

    test("[S-9] [S-6] Stop reaches the host; the run ends as cancelled, and late words are dropped", async () => {
      const { page, data, sessionId, runId } = await started();
      const stopped = await plane.call(`/api/runs/${runId}/stop`, { method: "POST", body: {} });
      expect([stopped.status, await stopped.json()]).toMatchObject([202, { state: "cancelling" }]);
      await step(sessionId);
      expect(await data.message("run.stop")).toMatchObject({ runId });
      await data.acknowledged(
        data.send({ type: "run.events", runId, events: [text("late", "1", "still here"), finished] }),
      );
      await step(sessionId);
      await data.acknowledged(
        data.send({ type: "run.events", runId, events: [text("later", "1", "and here"), finished] }),
      );
      await page.until("the run to end", (view) => view.runs[0]?.state === "finished");
      const ends = page.events.filter(
        (event): event is Extract<SessionEvent, { type: "run.finished" }> => event.type === "run.finished",
      );
      expect(ends.map((event) => event.data.outcome)).toEqual(["cancelled"]);
      expect(page.transcript.messages.map((message) => message.id)).not.toContain("later");
    });

    test("[P-12] [P-13] [P-17] a host that lost its acknowledgements sends again, and nothing is doubled", async () => {
      const { page, data, sessionId, runId, epoch, assignment } = await started();
      await data.acknowledged(data.send({ type: "run.events", runId, events: [text("m", "1", "one ")] }));
      data.socket.terminate();
      await step(sessionId);
      const again = await host.dial(assignment);
      expect(await again.handshake(host.token, { epoch, received: 1 })).toBe(4);
      await step(sessionId);
      // As if the acknowledgement of 4 had been lost: the same message under its old number.
      again.frame({ n: 4, ack: 1, message: { type: "run.events", runId, events: [text("m", "1", "one ")] } });
      await again.acknowledged(4);
      await step(sessionId);
      await again.acknowledged(again.send({ type: "run.events", runId, events: [finished] }));
      await page.until("the run to finish", (view) => view.runs[0]?.state === "finished");
      expect(page.events.filter((event) => event.type === "message.delta")).toHaveLength(1);
    });

    test("[P-12] [P-17] what was sent to a host that was away reaches it when it resumes, once and in order", async () => {
      const { page, data, sessionId, runId, epoch, assignment } = await started();
      data.socket.terminate();
      await page.when((each) => !each.hostConnected);
      const requestId = `req_${sessionId.slice(4)}-0000000009`;
      await page.ask({ type: "stop" });
      await step(sessionId);
      const again = await host.dial(assignment);
      await again.handshake(host.token, { epoch, received: 1 });
      expect(await again.message("run.stop")).toMatchObject({ runId });
      again.socket.terminate();
      await step(sessionId);
      const third = await host.dial(assignment);
      await third.handshake(host.token, { epoch, received: 2 });
      await third.acknowledged(third.send({ type: "run.events", runId, events: [permission(requestId), finished] }));
      expect(third.frames.some((frame) => "n" in frame)).toBe(false);
    });

    test("[S-16] [P-16] a stopped worker frees its lease; the next run comes under a larger epoch and counts from one", async () => {
      const { page, data, sessionId, runId, epoch } = await started();
      await data.acknowledged(data.send({ type: "run.events", runId, events: [finished] }));
      await step(sessionId);
      data.send({ type: "worker.status", state: "stopped" });
      expect((await data.closed).code).toBe(4412);
      await step(sessionId);
      await page.ask({ type: "prompt", prompt: { text: "again" } });
      const next = await host.takeAssignment();
      expect(next.assignment.epoch).toBeGreaterThan(epoch);
      const frame = await next.data.next(
        (each) => (each.message as { type?: string } | undefined)?.type === "run.start",
      );
      expect(frame.n).toBe(1);
    });

    test("[S-21] a deleted session is gone for people", async () => {
      const { page, sessionId } = await started();
      await step(sessionId);
      expect((await plane.call(`/api/sessions/${sessionId}`, { method: "DELETE" })).ok).toBe(true);
      await step(sessionId);
      expect(await page.ask({ type: "prompt", prompt: { text: "hello?" } })).toMatchObject({
        ok: false,
        reason: "gone",
      });
      expect((await plane.call(`/api/sessions/${sessionId}`)).status).toBe(410);
    });
  });
}
