/** A log that has grown past what its object keeps: the store has the rest, and readers do not notice. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunEvent, SessionEvent } from "#protocol/events.ts";
import { objectName } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import { applyToTranscript, emptyTranscript } from "#protocol/transcript.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page, readStream } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedLink } from "../../support/scripted-host.ts";

let plane: TestControlPlane;
let host: ScriptedHost;
beforeAll(async () => {
  plane = await startTestControlPlane();
  host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", { slots: 100 });
});
afterAll(async () => plane?.dispose());

const part = (id: string): RunEvent =>
  ({
    type: "message.delta",
    data: {
      messageId: "m",
      chunks: [
        { type: "text-start", id },
        { type: "text-delta", id, delta: `${id}: ${"x".repeat(50_000)}` },
        { type: "text-end", id },
      ],
    },
  }) as RunEvent;
const todo: RunEvent = { type: "todo.update", data: { items: [{ id: "1", text: "look", status: "pending" }] } };
const finished: RunEvent = { type: "run.finished", data: { outcome: "succeeded" } };

async function begin(page: Page, data?: ScriptedLink) {
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const link = data ?? (await host.takeAssignment()).data;
  const { run } = await link.message<{ type: string; run: RunStart }>("run.start");
  const { runId } = run;
  await link.acknowledged(link.send({ type: "run.started", runId }));
  await link.acknowledged(link.send({ type: "run.events", runId, events: [todo] }));
  return { link, runId };
}

/** Fifty kilobytes a part. */
async function say(link: ScriptedLink, runId: string, parts: number) {
  for (let n = 0; n < parts; n += 10) {
    const events = Array.from({ length: 10 }, (_, index) => part(`${n + index}`));
    await link.acknowledged(link.send({ type: "run.events", runId, events }));
  }
}

/** A run that says two megabytes. */
async function talk(page: Page, data?: ScriptedLink) {
  const { link, runId } = await begin(page, data);
  await say(link, runId, 50);
  await link.acknowledged(link.send({ type: "run.events", runId, events: [finished] }));
  await page.until("the end", (view) => view.runs.find(({ id }) => id === runId)?.state === "finished");
  page.socket.send(JSON.stringify({ type: "ack", cursor: page.view.cursor }));
  return { link, runId };
}

/** The names under which the store has pieces of a session's log. */
function segments(sessionId: string): string[] {
  const files = readdirSync(plane.stateDir, { recursive: true, encoding: "utf8" });
  return files
    .filter((name) => name.includes("r2") && name.endsWith(".sqlite") && !name.endsWith("metadata.sqlite"))
    .flatMap((name) => {
      const database = new DatabaseSync(join(plane.stateDir, name), { readOnly: true });
      try {
        return database
          .prepare("SELECT key FROM _mf_objects")
          .all()
          .map(({ key }) => String(key));
      } finally {
        database.close();
      }
    })
    .filter((key) => key.includes(`/${sessionId}/log/`));
}

test("[S-31] [P-37] [P-23] what moved to the store is read with the same cursor, through every door; a deleted session's goes", async () => {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  const first = await talk(page);
  const second = await talk(page, first.link);
  await expect.poll(() => segments(sessionId).length, { timeout: 30_000 }).toBeGreaterThanOrEqual(2);
  await plane.evict("SessionObject", objectName(plane.organizationId, sessionId));
  const live = page.events;
  const names = segments(sessionId);
  expect(names.every((name) => name.startsWith(`orgs/${plane.organizationId}/sessions/${sessionId}/log/`))).toBe(true);
  const inStore = Math.max(...names.map((name) => Number(/log\/\d+-(\d+)-/.exec(name)?.[1])));
  const startOfSecond = live.find(({ runId }) => runId === second.runId)?.seq ?? 0;
  expect(inStore).toBeGreaterThan(20);
  for (const cursor of [1, 5, 12, inStore - 1, inStore, inStore + 1, startOfSecond, page.view.cursor - 1]) {
    const behind = live.slice(0, cursor);
    const late = await Page.open(plane, sessionId, cursor);
    expect(late.frames[0]?.type).toBe("events");
    const transcript = late.events.reduce(applyToTranscript, behind.reduce(applyToTranscript, emptyTranscript));
    expect(transcript.messages.length).toBe(4);
    expect(JSON.stringify(transcript) === JSON.stringify(page.transcript), `from ${cursor}`).toBe(true);
    const overSse = await readStream(plane, `/api/runs/${first.runId}/stream?cursor=${cursor}`);
    const overSocket = late.events.filter(({ runId }) => runId === first.runId);
    expect(overSse.map(({ id }) => id)).toEqual(overSocket.map(({ seq }) => seq));
    expect(JSON.stringify(overSse.map(({ event }) => event)) === JSON.stringify(overSocket)).toBe(true);
    late.close();
  }
  const todos = await plane.call(`/api/runs/${first.runId}/todos/events`);
  expect(((await todos.json()) as { events: SessionEvent[] }).events).toHaveLength(1);
  const fresh = await Page.open(plane, sessionId);
  expect(JSON.stringify(fresh.transcript) === JSON.stringify(page.transcript)).toBe(true);
  expect((await plane.call(`/api/sessions/${sessionId}`, { method: "DELETE" })).ok).toBe(true);
  await expect.poll(() => segments(sessionId), { timeout: 30_000 }).toEqual([]);
});

test("[S-27] [S-31] [P-32] a run that goes on and on is folded and archived as it goes; readers come to the same from every cursor", async () => {
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  const { link, runId } = await begin(page);
  // Acknowledged as it comes: what is measured here is no slow reader.
  const reads = setInterval(() => page.socket.send(JSON.stringify({ type: "ack", cursor: page.view.cursor })), 20);
  await say(link, runId, 120);
  await expect.poll(() => segments(sessionId).length, { timeout: 30_000 }).toBeGreaterThanOrEqual(1);
  expect(page.view.runs[0]?.state).toBe("running");
  await plane.evict("SessionObject", objectName(plane.organizationId, sessionId));
  const inStore = Math.max(...segments(sessionId).map((name) => Number(/log\/\d+-(\d+)-/.exec(name)?.[1])));
  const live = page.events;
  for (const cursor of [1, 5, inStore - 1, inStore, inStore + 1, live.length - 1]) {
    const behind = live.slice(0, cursor);
    const late = await Page.open(plane, sessionId, cursor);
    const transcript = late.events.reduce(applyToTranscript, behind.reduce(applyToTranscript, emptyTranscript));
    expect(JSON.stringify(transcript.messages) === JSON.stringify(page.transcript.messages), `from ${cursor}`).toBe(
      true,
    );
    late.close();
  }
  const told = (await (await plane.call(`/api/sessions/${sessionId}/transcript`)).json()) as typeof page.transcript;
  expect(JSON.stringify(told.messages) === JSON.stringify(page.transcript.messages)).toBe(true);
  clearInterval(reads);
});
