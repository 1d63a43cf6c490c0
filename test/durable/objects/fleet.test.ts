/** Many sessions, several hosts: who gets what, and what happens when a host goes. */
import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Assignment, RunStart } from "#protocol/messages.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedHostOptions, within } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
beforeEach(async () => {
  plane = await sharedControlPlane();
});

/** For a test that ends it. */
async function ownPlane(): Promise<void> {
  plane = await startTestControlPlane();
  onTestFinished(plane.dispose);
}

async function host(options: ScriptedHostOptions = {}): Promise<ScriptedHost> {
  return await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", options);
}

async function prompted(): Promise<Page> {
  const page = await Page.open(plane, await newSession(plane));
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  return page;
}

/** The reason that people read while the first run waits. */
function waitsFor(view: SessionView, words: string): boolean {
  const run = view.runs[0];
  return run?.state === "queued" && (run.detail?.includes(words) ?? false);
}

const offered = async (to: ScriptedHost) =>
  (await to.control.message<{ type: string; assignment: Assignment }>("assign")).assignment;

test("[F-1] [F-8] twelve sessions over three hosts: each run is offered to one host, and no host gets more than its slots", async () => {
  const hosts = [
    await host({ name: "a", slots: 3 }),
    await host({ name: "b", slots: 5 }),
    await host({ name: "c", slots: 2 }),
  ];
  const pages = await Promise.all(Array.from({ length: 12 }, prompted));
  const served: string[] = [];
  async function serve(each: ScriptedHost, count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const { assignment, data } = await each.takeAssignment();
      served.push(assignment.sessionId);
      const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
      await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
    }
  }
  await Promise.all([serve(hosts[0]!, 3), serve(hosts[1]!, 5), serve(hosts[2]!, 2)]);
  expect(new Set(served).size).toBe(10);
  const waiting = pages.filter((page) => !served.includes(page.view.id));
  expect(waiting).toHaveLength(2);
  for (const page of waiting) await page.until("the reason", (view) => waitsFor(view, "busy"));
});

test("[F-11] an offer that is rejected goes to the next host, and the reason is shown when nobody is left", async () => {
  const first = await host({ name: "first" });
  const page = await prompted();
  const assignment = await offered(first);
  first.control.send({
    type: "assign.reject",
    sessionId: assignment.sessionId,
    epoch: assignment.epoch,
    reason: "disk full",
  });
  await page.until("the reason", (view) => waitsFor(view, "disk full"));
  const second = await host({ name: "second" });
  const next = await offered(second);
  expect(next.sessionId).toBe(assignment.sessionId);
  expect(next.epoch).toBeGreaterThan(assignment.epoch);
});

test("[F-11] new facts from a host wipe its refusals", async () => {
  const only = await host();
  await prompted();
  const assignment = await offered(only);
  only.control.send({
    type: "assign.reject",
    sessionId: assignment.sessionId,
    epoch: assignment.epoch,
    reason: "not now",
  });
  only.control.send({ type: "facts", facts: only.facts(), leases: [] });
  expect((await offered(only)).sessionId).toBe(assignment.sessionId);
});

test("[F-11] a host that refuses is asked again, with back-off, without anything else happening", async () => {
  const only = await host();
  await prompted();
  for (let refusals = 0; refusals < 2; refusals++) {
    const { sessionId, epoch } = await offered(only);
    only.control.send({ type: "assign.reject", sessionId, epoch, reason: "not now" });
  }
  expect((await offered(only)).epoch).toBe(3);
});

test("[F-11] a lease that a host gives back wipes what it refused because of it", async () => {
  const only = await host({ slots: 2 });
  await prompted();
  const { sessionId, epoch } = await offered(only);
  only.control.send({ type: "assign.reject", sessionId, epoch, reason: "all slots are taken" });
  // The lease of a worker that its session had given back before the host was done with it.
  const released = only.control.send({ type: "lease.release", sessionId: `ses_${"z".repeat(20)}`, epoch: 1 });
  await only.control.acknowledged(released);
  expect((await offered(only)).sessionId).toBe(sessionId);
});

test("[F-5] accepting after the offer has passed to another host has no effect, and the host is told", async () => {
  const slow = await host({ name: "slow" });
  await prompted();
  const assignment = await offered(slow);
  const { sessionId, epoch } = assignment;
  slow.control.send({ type: "assign.reject", sessionId, epoch, reason: "busy" });
  slow.control.send({ type: "assign.accept", sessionId, epoch });
  expect(await slow.control.message("lease.revoked")).toMatchObject({ sessionId, epoch });
});

test("[F-6] a host that comes back with a lease it has not is told; one that forgot its lease loses it and the run goes on elsewhere", async () => {
  const forgetful = await host();
  const page = await prompted();
  const { assignment } = await forgetful.takeAssignment();
  const { sessionId, epoch } = assignment;
  await page.until("the lease", (view) => view.epoch === epoch);
  const foreign = { sessionId: await newSession(plane), epoch: 3 };
  await forgetful.connect([foreign], forgetful.control.taken);
  const revoked = [await forgetful.control.message("lease.revoked"), await forgetful.control.message("lease.revoked")];
  expect(revoked).toMatchObject(
    expect.arrayContaining([expect.objectContaining(foreign), expect.objectContaining({ sessionId, epoch })]),
  );
  const again = await offered(forgetful);
  expect([again.sessionId, again.epoch > epoch]).toEqual([sessionId, true]);
});

test("[F-2] the epoch grows over release and crash of the whole control plane", async () => {
  await ownPlane();
  const only = await host();
  const page = await prompted();
  const epochs: number[] = [];
  for (let round = 0; round < 3; round++) {
    const { assignment, data } = await only.takeAssignment();
    epochs.push(assignment.epoch);
    const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
    data.send({
      type: "run.events",
      runId: run.runId,
      events: [{ type: "run.finished", data: { outcome: "succeeded" } }],
    });
    data.send({ type: "worker.status", state: "stopped" });
    await data.closed;
    if (round === 1) {
      plane.killWorkerd();
      await only.control.closed;
      await within(reconnected(only), () => "the host to be back");
    }
    await plane.call("/api/runs/queue/enqueue", {
      method: "POST",
      body: { sessionId: page.view.id, prompt: `again ${round}` },
    });
  }
  expect(epochs).toEqual([...epochs].sort((a, b) => a - b));
  expect(new Set(epochs).size).toBe(3);
});

async function reconnected(each: ScriptedHost, leases: { sessionId: string; epoch: number }[] = []): Promise<void> {
  const taken = each.control.taken;
  for (;;) {
    try {
      await each.connect(leases, taken);
      return;
    } catch (error) {
      // While workerd starts again, connections break: the next attempt meets it, or `within` gives up.
      if (!(error instanceof Error)) throw error;
    }
  }
}

test("[F-7] a lease that its session refuses is released", async () => {
  const only = await host({ slots: 1 });
  const page = await prompted();
  const assignment = await offered(only);
  // Cancelled between the offer and the acceptance.
  await page.ask({ type: "stop", runId: page.view.runs[0]?.id });
  only.control.send({ type: "assign.accept", sessionId: assignment.sessionId, epoch: assignment.epoch });
  const other = await prompted();
  expect((await offered(only)).sessionId).toBe(other.view.id);
  const queue = (await (await plane.call(`/api/runs/queue/${other.view.runs[0]?.id}`)).json()) as { state: string };
  expect(queue.state).toBe("queued");
});

test("[F-13] a draining host keeps what it has and gets nothing new until it is resumed", async () => {
  const only = await host();
  await prompted();
  const { data } = await only.takeAssignment();
  expect((await plane.call(`/api/hosts/${only.id}/drain`, { method: "POST" })).ok).toBe(true);
  await only.control.message("drain");
  const page = await prompted();
  await page.until("the reason", (view) => waitsFor(view, "draining"));
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  await plane.call(`/api/hosts/${only.id}/resume`, { method: "POST" });
  await only.control.message("drain.over");
  expect((await offered(only)).sessionId).toBe(page.view.id);
});

test("[F-14] a removed host loses its leases and is told for good", async () => {
  const only = await host();
  const page = await prompted();
  const { data } = await only.takeAssignment();
  await data.message("run.start");
  expect((await plane.call(`/api/hosts/${only.id}`, { method: "DELETE" })).ok).toBe(true);
  expect((await only.control.closed).code).toBe(4410);
  expect((await data.closed).code).toBe(4412);
  await page.until("the run to wait again", (view) => view.runs[0]?.state === "queued");
  await expect(only.ask()).rejects.toThrow("410");
});

test("[F-12] asking twice for the same run is asking once", async () => {
  const page = await prompted();
  // A follow-up asks again for the run that is first in line.
  await page.ask({ type: "prompt", prompt: { text: "and then" } });
  const only = await host();
  const first = await offered(only);
  expect(first.sessionId).toBe(page.view.id);
  const other = await prompted();
  expect((await offered(only)).sessionId).toBe(other.view.id);
});

test("[S-4] [F-4] what others have to learn survives a crash: the index has the run, and the host keeps its lease", async () => {
  await ownPlane();
  const only = await host();
  const page = await prompted();
  const { data, assignment } = await only.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  data.send({ type: "run.started", runId: run.runId });
  await data.acknowledged(1);
  plane.killWorkerd();
  await data.closed;
  await within(
    reconnected(only, [{ sessionId: assignment.sessionId, epoch: assignment.epoch }]),
    () => "the host to be back",
  );
  const again = await only.dial(assignment);
  await again.handshake(only.token, { epoch: assignment.epoch, received: 1 });
  await again.acknowledged(
    again.send({
      type: "run.events",
      runId: run.runId,
      events: [{ type: "run.finished", data: { outcome: "succeeded" } }],
    }),
  );
  const indexed = async () => (await plane.query("SELECT state, outcome FROM runs WHERE id = ?", run.runId))[0];
  await expect.poll(indexed, { timeout: 10_000 }).toEqual({ state: "finished", outcome: "succeeded" });
  const back = await Page.open(plane, page.view.id);
  expect(back.events.map((event) => event.seq)).toEqual(back.events.map((_event, index) => index + 1));
});

test("[F-15] a run that waits only for a slot gets it from an idle worker, never from a busy one", async () => {
  const only = await host({ slots: 2 });
  const work = async () => {
    const page = await prompted();
    const { data } = await only.takeAssignment();
    const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
    data.send({ type: "worker.status", state: "active" });
    await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
    return { page, data, runId: run.runId };
  };
  const busy = await work();
  const idle = await work();
  await idle.data.acknowledged(
    idle.data.send({
      type: "run.events",
      runId: idle.runId,
      events: [{ type: "run.finished", data: { outcome: "succeeded" } }],
    }),
  );
  const waiting = await prompted();
  await idle.data.message("worker.stop");
  idle.data.send({ type: "worker.status", state: "stopped" });
  expect((await offered(only)).sessionId).toBe(waiting.view.id);
  expect(
    busy.data.frames.some((frame) => (frame.message as { type?: string } | undefined)?.type === "worker.stop"),
  ).toBe(false);
});
