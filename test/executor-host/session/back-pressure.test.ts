/** A session that takes nothing for a while: what a run says waits at its runner, and neither grows here nor is lost. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { LIMITS } from "#protocol/limits.ts";
import { delta, finished, HostUnderTest, textOf } from "./host-under-test.ts";

const PIECE = 100_000;
const PIECES = 200;
/** What may be under way beyond the bound: a frame, and what was read but not yet put into one. */
const SLACK = LIMITS.frameBytes + LIMITS.unacknowledgedBytes / 4;

let under: HostUnderTest;
beforeEach(async () => {
  under = await HostUnderTest.start();
});
afterEach(() => under.stop());

test("[R-3.4] [P-17] a session that acknowledges nothing stops the reading of the runner; when it does again, all of it comes, once and in order", {
  timeout: 60_000,
}, async () => {
  const data = await under.lease();
  const { runId, worker } = await under.run();
  data.acknowledges = false;
  const said = Array.from({ length: PIECES }, (_none, n) => `#${n}#${"x".repeat(PIECE)}`);
  worker.runner.emit(runId, ...said.map((text) => delta(text)));
  const came = () => textOf(under.events(runId)).length;
  while (came() < LIMITS.unacknowledgedBytes - SLACK) await data.messages.next(({ type }) => type === "run.events");
  // The host is well: it hears the session and answers, and all that time reads no further.
  for (let round = 0; round < 20; round++) {
    const n = data.send({ type: "config_update", config: {} });
    await data.frames.next((text) => text !== "ping" && (JSON.parse(text) as { ack?: number }).ack === n);
  }
  expect(came()).toBeLessThan(LIMITS.unacknowledgedBytes + SLACK);
  expect(worker.runner.unread(runId)).toBeGreaterThan(PIECES * PIECE - LIMITS.unacknowledgedBytes - 2 * SLACK);
  data.acknowledges = true;
  data.acknowledge();
  worker.runner.emit(runId, finished);
  await under.eventOf(runId, "run.finished");
  expect(textOf(under.events(runId)) === said.join("")).toBe(true);
  expect(worker.runner.unread(runId)).toBe(0);
});
