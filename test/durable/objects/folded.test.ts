/** What is left of a run when it is over: its messages folded, read from every cursor and through every door. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunEvent, SessionEvent } from "#protocol/events.ts";
import { objectName } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import { applyEvent, emptyView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript } from "#protocol/transcript.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page, readStream } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedLink } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
let host: ScriptedHost;
beforeAll(async () => {
  plane = await sharedControlPlane();
  host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", { slots: 100 });
});
afterAll(async () => plane?.dispose());

const delta = (...chunks: object[]): RunEvent =>
  ({ type: "message.delta", data: { messageId: "m", chunks } }) as RunEvent;
const word = (text: string, id = "1") => delta({ type: "text-delta", id, delta: text });
const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };

async function started(sessionId: string) {
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  return { page, data, runId: run.runId };
}

const say = async (data: ScriptedLink, runId: string, events: RunEvent[]) =>
  await data.acknowledged(data.send({ type: "run.events", runId, events }));

/** The session's events as a late reader gets them, once what is over was folded. */
async function whenFolded(runId: string): Promise<SessionEvent[]> {
  for (;;) {
    const events = (await readStream(plane, `/api/runs/${runId}/stream`)).map(({ event }) => event);
    if (events.some(({ from }) => from !== undefined)) return events;
  }
}

test("[P-36] [P-23] [S-27] a finished message is one event; from every cursor, through every door, it comes out the same", async () => {
  const sessionId = await newSession(plane);
  const { page, data, runId } = await started(sessionId);
  await say(data, runId, [delta({ type: "text-start", id: "1" })]);
  for (const text of ["Grüße", ", ", "Welt 🙂"]) await say(data, runId, [word(text)]);
  await say(data, runId, [delta({ type: "text-end", id: "1" })]);
  await say(data, runId, [{ type: "todo.update", data: { items: [] } }]);
  await say(data, runId, [delta({ type: "text-start", id: "2" }), word("one ", "2")]);
  for (const text of ["two ", "three"]) await say(data, runId, [word(text, "2")]);
  await say(data, runId, [{ type: "message.stop", data: { messageId: "m", text: "" } }, finished]);
  await page.until("the end", (view) => view.runs[0]?.state === "finished");
  const live = page.events;
  const folded = await whenFolded(runId);
  expect(folded.filter(({ type }) => type === "message.delta").map(({ from, seq }) => seq - (from ?? seq) + 1)).toEqual(
    [5, 4],
  );
  for (let cursor = 1; cursor < page.view.cursor; cursor++) {
    const behind = live.slice(0, cursor);
    const late = await Page.open(plane, sessionId, cursor);
    const overSse = await readStream(plane, `/api/runs/${runId}/stream?cursor=${cursor}`);
    expect(overSse.map(({ event }) => event)).toEqual(late.events.filter((event) => event.runId === runId));
    expect(overSse.every(({ id, event }) => id === event.seq)).toBe(true);
    const transcript = late.events.reduce(applyToTranscript, behind.reduce(applyToTranscript, emptyTranscript));
    expect(transcript, `from ${cursor}`).toEqual(page.transcript);
    expect(late.events.reduce(applyEvent, behind.reduce(applyEvent, emptyView(sessionId)))).toEqual(page.view);
    late.close();
  }
  const told = await plane.call(`/api/sessions/${sessionId}/transcript`);
  expect(await told.json()).toEqual(page.transcript);
});

test("[S-27] [S-28] [P-13] an object that was put away after the fold knows all of it, and what its host said", async () => {
  const sessionId = await newSession(plane);
  const { page, data, runId } = await started(sessionId);
  await say(data, runId, [delta({ type: "text-start", id: "1" }), word("a"), word("b")]);
  await say(data, runId, [finished]);
  await page.until("the end", (view) => view.runs[0]?.state === "finished");
  await whenFolded(runId);
  await plane.evict("SessionObject", objectName(plane.organizationId, sessionId));
  // As if its acknowledgement had been lost: the same message under its old number.
  data.frame({
    n: data.sent,
    ack: data.taken,
    message: { type: "run.events", runId, events: [word("again"), finished] },
  });
  await page.ask({ type: "prompt", prompt: { text: "more" } });
  const next = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: next.run.runId }));
  // Under the same id as before: a message belongs to its run.
  await say(data, next.run.runId, [delta({ type: "text-start", id: "1" }), word("c"), word("d"), finished]);
  await page.until("the end", (view) => view.runs[1]?.state === "finished");
  await whenFolded(next.run.runId);
  const texts = page.transcript.messages.map(({ parts }) =>
    parts.map((part) => ("text" in part ? part.text : "")).join(),
  );
  expect(texts).toEqual(["work", "ab", "more", "cd"]);
  const reloaded = await Page.open(plane, sessionId);
  expect(reloaded.view).toEqual(page.view);
  expect(reloaded.transcript).toEqual(page.transcript);
});
