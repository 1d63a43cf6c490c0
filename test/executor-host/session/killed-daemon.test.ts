/**
 * The real daemon, the real runner, SIGKILL. The control plane is the test's; what the runner wrote into its spool is the
 * truth that everything which arrived is measured against.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { RunEvent } from "#protocol/events.ts";
import { newRunId } from "#protocol/ids.ts";
import { HostFolder, killed } from "../../support/host-process.ts";
import { ScriptedControlPlane } from "../../support/scripted-control-plane.ts";
import { runStart, SESSION } from "./host-under-test.ts";

let plane: ScriptedControlPlane;
let folder: HostFolder;
beforeEach(async () => {
  plane = await ScriptedControlPlane.start();
  folder = new HostFolder({ GANTRY_ALLOW_PROCESS_MODE: "1", GANTRY_NETWORK: "none" });
  await folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);
});
afterEach(async () => {
  await folder.remove();
  await plane.stop();
});

/** What is said, whatever way it was batched. */
function said(events: readonly RunEvent[]): string[] {
  return events.flatMap((event) =>
    event.type === "message.delta"
      ? event.data.chunks.map((chunk) => JSON.stringify([event.data.messageId, chunk]))
      : [JSON.stringify(event)],
  );
}

function spooled(runId: string): RunEvent[] {
  const lines = readFileSync(join(folder.dir, "run", SESSION, "spool", `${runId}.jsonl`), "utf8")
    .trim()
    .split("\n");
  return lines.slice(1).map((line) => JSON.parse(line).event);
}

test("[R-3.4] [P-17] killed again and again in the middle of a run: nothing lost, nothing twice, one start", async () => {
  const data = plane.data(SESSION);
  const runId = newRunId(SESSION);
  const received = (): RunEvent[] =>
    data.messages.all.flatMap((m) => (m.type === "run.events" && m.runId === runId ? m.events : []));
  let daemon = folder.daemon();
  await plane.control.messages.next(({ type }) => type === "facts");
  plane.control.send({ type: "assign", assignment: plane.assignment(SESSION) });
  data.send({ type: "run.start", run: runStart({ runId, prompt: "stream 600 10" }) });

  // By log position, not by time: after so many chunks have arrived.
  for (const position of [1, 40, 170]) {
    await data.messages.next(() => said(received()).length >= position);
    await killed(daemon);
    daemon = folder.daemon();
    await data.connections.next();
  }
  await data.messages.next((m) => m.type === "run.events" && m.events.some(({ type }) => type === "run.finished"));
  expect(said(received())).toEqual(said(spooled(runId)));
  expect(received().filter(({ type }) => type === "run.finished")).toHaveLength(1);
  for (const type of ["run.accepted", "run.started"]) {
    expect(data.messages.all.filter((message) => message.type === type)).toHaveLength(1);
  }
  expect(data.messages.all.some(({ type }) => type === "run.aborted")).toBe(false);
  await killed(daemon);
});

test("killed before the worker was up: the run is done once, by the next daemon", async () => {
  const data = plane.data(SESSION);
  const runId = newRunId(SESSION);
  let daemon = folder.daemon();
  await plane.control.messages.next(({ type }) => type === "facts");
  plane.control.send({ type: "assign", assignment: plane.assignment(SESSION) });
  data.send({ type: "run.start", run: runStart({ runId, prompt: "say once" }) });
  await data.messages.next(({ type }) => type === "run.accepted");
  await killed(daemon);
  daemon = folder.daemon();
  await data.messages.next((m) => m.type === "run.events" && m.events.some(({ type }) => type === "run.finished"));
  expect(data.messages.all.filter(({ type }) => type === "run.started")).toHaveLength(1);
  await killed(daemon);
});
