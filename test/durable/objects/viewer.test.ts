/** Reading along: cursors, snapshots, slow readers, commands from a page. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { LIMITS } from "#protocol/limits.ts";
import type { RunStart } from "#protocol/messages.ts";
import { applyToTranscript } from "#protocol/transcript.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page, readStream } from "../../support/live-session.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
let host: ScriptedHost;

beforeAll(async () => {
  plane = await sharedControlPlane();
  host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", { slots: 100 });
});
afterAll(async () => plane?.dispose());

async function running() {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  const { runId } = run;
  await data.acknowledged(data.send({ type: "run.started", runId }));
  return { sessionId, page, data, runId };
}

const deltas = (count: number, words: string): RunEvent[] =>
  Array.from({ length: count }, () => ({
    type: "message.delta",
    data: { messageId: "m", chunks: [{ type: "text-delta", id: "1", delta: words }] },
  }));

test("[P-22] a first visit to a long session gets a snapshot, and it is what the fold of all events gives", async () => {
  const { sessionId, page, data, runId } = await running();
  data.send({
    type: "run.events",
    runId,
    events: [{ type: "message.delta", data: { messageId: "m", chunks: [{ type: "text-start", id: "1" }] } }],
  });
  let last = 0;
  for (let i = 0; i < 5; i++) last = data.send({ type: "run.events", runId, events: deltas(300, `${i} `) });
  await data.acknowledged(last);
  await page.until("all events", (view) => view.cursor >= 1_500);
  const fresh = await Page.open(plane, sessionId);
  expect(fresh.frames[0]).toMatchObject({ type: "snapshot", reason: "first_visit", cursor: page.view.cursor });
  expect(fresh.view).toEqual(page.view);
  expect(fresh.transcript).toEqual(page.transcript);
  const ahead = await Page.open(plane, sessionId, 9_999_999);
  expect(ahead.frames[0]).toMatchObject({ type: "snapshot", reason: "cursor_ahead" });
  const near = await Page.open(plane, sessionId, page.view.cursor - 2);
  expect(near.events.map((event) => event.seq)).toEqual([page.view.cursor - 1, page.view.cursor]);
});

test("[P-22] a page that is too far behind gets a snapshot and is told so; one that is not quite gets the events", async () => {
  const { sessionId, page, data, runId } = await running();
  await page.until("the start", (view) => view.runs[0]?.state === "running");
  const end = page.view.cursor + LIMITS.tailEvents + 500;
  let last = 0;
  for (let seq = page.view.cursor; seq < end; seq += 500)
    last = data.send({ type: "run.events", runId, events: deltas(500, "x") });
  await data.acknowledged(last);
  await page.until("all events", (view) => view.cursor === end);
  const behind = await Page.open(plane, sessionId, end - LIMITS.tailEvents - 1);
  expect(behind.frames[0]).toMatchObject({ type: "snapshot", reason: "too_far_behind", cursor: end });
  const near = await Page.open(plane, sessionId, end - LIMITS.tailEvents);
  expect(near.frames[0]).toMatchObject({ type: "events" });
  expect(near.view.cursor).toBe(end);
});

test("[P-23] [P-26] SSE resumes by cursor and by Last-Event-ID, and a run's stream ends after its run.finished", async () => {
  const { page, data, runId } = await running();
  await data.acknowledged(data.send({ type: "run.events", runId, events: deltas(3, "x") }));
  await data.acknowledged(
    data.send({ type: "run.events", runId, events: [{ type: "run.finished", data: { outcome: "succeeded" } }] }),
  );
  await page.until("the end", (view) => view.runs[0]?.state === "finished");
  const all = await readStream(plane, `/api/runs/${runId}/stream`);
  expect(all.at(-1)?.event.type).toBe("run.finished");
  for (const { id } of all.slice(0, -1)) {
    const after = all.filter((each) => each.id > id);
    expect(await readStream(plane, `/api/runs/${runId}/stream?cursor=${id}`)).toEqual(after);
    const response = await plane.call(`/api/runs/${runId}/stream`, { headers: { "last-event-id": String(id) } });
    expect((await response.text()).match(/^id: \d+$/gm)).toEqual(after.map((each) => `id: ${each.id}`));
  }
});

test("[P-24] [P-25] [P-1] a page's bad frame closes that page only; a refused command is answered with its id", async () => {
  const { sessionId, page } = await running();
  const clumsy = await Page.open(plane, sessionId);
  clumsy.socket.send('{"type":"prompt"}');
  expect((await clumsy.closed).code).toBe(4400);
  const ahead = await Page.open(plane, sessionId);
  ahead.socket.send(JSON.stringify({ type: "ack", cursor: ahead.view.cursor + 1_000 }));
  expect((await ahead.closed).code).toBe(4400);
  const large = await Page.open(plane, sessionId);
  large.socket.send(JSON.stringify({ type: "prompt", id: "x", prompt: { text: "x".repeat(LIMITS.viewerFrameBytes) } }));
  expect((await large.closed).code).toBe(4413);
  const refused = await page.ask({ type: "reply", reply: { requestId: "req_nobody", decision: "allow" } });
  expect(refused).toMatchObject({ ok: false, reason: "not_found" });
  expect(page.view.runs).toHaveLength(1);
});

test("[P-25] a page that stops reading is cut off with 4429 and loses nothing; another page gets everything meanwhile", async () => {
  const { sessionId, page, data, runId } = await running();
  const slow = await Page.open(plane, sessionId);
  const fast = page;
  const acknowledge = setInterval(
    () => fast.socket.send(JSON.stringify({ type: "ack", cursor: fast.view.cursor })),
    20,
  );
  slow.socket.pause();
  const words = "x".repeat(50_000);
  await fast.until("the start", (view) => view.runs[0]?.state === "running");
  const before = fast.view.cursor;
  let cut = false;
  void slow.closed.then(() => {
    cut = true;
  });
  for (let sent = 0; sent < 30; sent++)
    await data.acknowledged(data.send({ type: "run.events", runId, events: deltas(10, words) }));
  slow.socket.resume();
  const closed = await slow.closed;
  clearInterval(acknowledge);
  expect([closed.code, cut]).toEqual([4429, true]);
  await fast.until("all events", (view) => view.cursor === before + 30 * 10);
  expect(fast.events.map((event) => event.seq)).toEqual(fast.events.map((_event, index) => index + 1));
  const back = await Page.open(plane, sessionId, slow.view.cursor);
  // Some of what it had not read was folded meanwhile: it gets all of it, no hole, and comes to the same.
  let cursor = 0;
  for (const { seq, from = seq } of [...slow.events, ...back.events]) {
    expect(from).toBeLessThanOrEqual(cursor + 1);
    expect(seq).toBeGreaterThan(cursor);
    cursor = seq;
  }
  expect(cursor).toBe(fast.view.cursor);
  const transcript = back.events.reduce(applyToTranscript, slow.transcript);
  expect(JSON.stringify(transcript) === JSON.stringify(fast.transcript)).toBe(true);
});
