/** A host without room on its disk; test/faults/disk-full.ts fills a real one. */
import { afterEach, expect, test } from "vitest";
import { HeldClock } from "../support/held-clock.ts";
import { delta, finished, HostUnderTest, runStart, SESSION, textOf } from "./session/host-under-test.ts";

let under: HostUnderTest;
let clock: HeldClock;
afterEach(() => under.stop());

const LOOK_MS = 3_000;

async function hostWithRun() {
  clock = new HeldClock();
  under = await HostUnderTest.start({ clock });
  const data = await under.lease();
  const { runId, worker } = await under.run();
  return { data, runId, runner: worker.runner };
}

/** The next look at the disk finds this much. */
async function left(freeBytes: number): Promise<void> {
  under.freeBytes = freeBytes;
  await clock.timer((delayMs) => delayMs <= LOOK_MS);
  clock.advance(LOOK_MS);
}

const warned = (runId: string): string[] =>
  under
    .events(runId)
    .flatMap((event) => (event.type === "run.status" && event.data.warning ? [event.data.detail ?? ""] : []));

test("a full disk holds a run back, everybody is told why, and with room it goes on", async () => {
  const { runId, runner } = await hostWithRun();
  await left(0);
  await expect
    .poll(() => warned(runId))
    .toEqual(["The disk of this host is full: 0 MiB are left. The run is held back."]);
  expect(under.host.status().diskFull).toContain("Make 32 MiB of room for");
  const facts = await under.plane.control.messages.next(
    (message) => message.type === "facts" && message.facts.providers.scripted?.state === "environment_not_ready",
  );
  expect(facts).toMatchObject({ facts: { vmModes: ["process"], providers: { scripted: { fix: expect.anything() } } } });
  runner.emit(runId, ...Array.from({ length: 20 }, (_, n) => delta(`${n} `)), finished);
  await expect.poll(() => textOf(under.events(runId))).toBe("0 ");
  // More, but not enough to be told of as room.
  await left(20 * 1024 * 1024);
  await expect.poll(() => under.host.status().diskFull).toContain("20 MiB are left");
  expect(textOf(under.events(runId))).toBe("0 ");
  await left(2 ** 30);
  await under.eventOf(runId, "run.finished");
  expect(textOf(under.events(runId))).toBe(Array.from({ length: 20 }, (_, n) => `${n} `).join(""));
  expect(warned(runId).at(-1)).toBe("The host's disk has room again.");
  expect(under.host.status().diskFull).toBeUndefined();
});

test("without room no session is taken and no run begins; a run that waits for it can be stopped", async () => {
  const { data, runId, runner } = await hostWithRun();
  runner.emit(runId, finished);
  await under.eventOf(runId, "run.finished");
  await left(0);
  await expect.poll(() => under.host.status().diskFull).toBeDefined();
  under.plane.control.send({ type: "assign", assignment: under.plane.assignment("ses_bbbbbbbbbbbbbbbbbbbb", 1) });
  const answer = await under.plane.control.messages.next(({ type }) => type === "assign.reject");
  expect(answer).toMatchObject({ reason: expect.stringContaining("The disk of this host is full") });

  const waiting = runStart();
  data.send({ type: "run.start", run: waiting });
  await data.messages.next((message) => message.type === "run.accepted" && message.runId === waiting.runId);
  data.send({ type: "run.stop", runId: waiting.runId });
  await data.messages.next((message) => message.type === "run.aborted" && message.runId === waiting.runId);

  const next = runStart();
  data.send({ type: "run.start", run: next });
  await data.messages.next((message) => message.type === "run.accepted" && message.runId === next.runId);
  expect(runner.started.map((order) => order.runId)).toEqual([runId]);
  await left(2 ** 30);
  await data.messages.next((message) => message.type === "run.started" && message.runId === next.runId);
  expect(under.host.status().sessions).toMatchObject([{ sessionId: SESSION }]);
});
