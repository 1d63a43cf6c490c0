/** How long a run is without a host after it lost one: killed, gone silent, or restarted. */
import { performance } from "node:perf_hooks";
import { accepted, finished, leave, type Mouth, Offers, Pool } from "../faults/pool.ts";
import { faulty, RealHost } from "../faults/real-host.ts";
import type { Page } from "../support/live-session.ts";
import { judged, type Result } from "./result.ts";
import { middleHalf, quantile } from "./statistics.ts";

const KILLED_MS = 3_000;
/** A lease and what the pool may take to notice its end. */
const SILENT_MS = 17_000;
const DELTAS = 100;
const EVERY_MS = 15;

export async function measureRecovery(trials: number): Promise<Result[]> {
  const pool = await Pool.open();
  try {
    return [await killed(pool, trials), await silent(pool, trials), await restarted(pool, trials)];
  } finally {
    await pool.dispose();
  }
}

/** The kernel ends the sockets of a process that is killed; that is done here. */
async function killed(pool: Pool, trials: number): Promise<Result> {
  const times: number[] = [];
  let violations = 0;
  for (let trial = 0; trial < trials; trial++) {
    const offers = new Offers();
    const victim = await pool.host({ name: `killed-${trial}` });
    offers.follow(victim);
    const asked = await pool.asked();
    const held = await accepted(await offers.next(asked.sessionId));
    await held.link.message("run.start");
    const other = await pool.host({ name: `there-${trial}` });
    offers.follow(other);
    const began = performance.now();
    held.link.socket.terminate();
    victim.control.socket.terminate();
    const mouth = await accepted(await offers.next(asked.sessionId));
    await mouth.link.message("run.start");
    times.push(performance.now() - began);
    if (mouth.host !== other || mouth.assignment.epoch <= held.assignment.epoch) violations++;
    await done(mouth, asked);
    other.control.socket.terminate();
  }
  const how = "a scripted host accepts and says nothing more, its sockets end; until another host has the run";
  return slowest("a killed host's run, not started, is placed again", times, violations, KILLED_MS, how);
}

/** One host with all the runs falls silent with its sockets open. */
async function silent(pool: Pool, trials: number): Promise<Result> {
  const offers = new Offers();
  const victim = await pool.host({ name: "silent", silent: true });
  offers.follow(victim);
  const asked = await Promise.all(Array.from({ length: trials }, () => pool.asked()));
  for (const { sessionId } of asked) await (await accepted(await offers.next(sessionId))).link.message("run.start");
  // Its last words, and no ping after them.
  victim.control.raw("ping");
  const began = performance.now();
  const other = await pool.host({ name: "there" });
  offers.follow(other);
  let violations = 0;
  const times = await Promise.all(
    asked.map(async ({ sessionId, page, runId }) => {
      const mouth = await accepted(await offers.next(sessionId, 2 * SILENT_MS));
      await mouth.link.message("run.start");
      const took = performance.now() - began;
      if (mouth.host !== other) violations++;
      await done(mouth, { page, runId });
      return took;
    }),
  );
  other.control.socket.terminate();
  const how =
    "a scripted host accepts and pings no more, its sockets stay open; from its last ping until another host has the run; all runs at once";
  return slowest("a silent host's run, not started, is placed again", times, violations, SILENT_MS, how);
}

/** The run ends, or it would go on to the next host. */
async function done(mouth: Mouth, { page, runId }: { page: Page; runId: string }): Promise<void> {
  mouth.send({ type: "run.started", runId });
  await mouth.told({ type: "run.events", runId, events: [finished] });
  await leave({ mouth, page });
}

async function restarted(pool: Pool, trials: number): Promise<Result> {
  const host = await RealHost.joined(pool);
  const times: number[] = [];
  let violations = 0;
  try {
    host.start();
    for (let trial = 0; trial < trials; trial++) {
      const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`);
      await run.until("some of it", () => run.said.length >= 10);
      await host.end();
      const began = performance.now();
      host.start();
      await run.until("the next event", () => run.lastAt > began || run.ended !== undefined);
      times.push(performance.now() - began);
      await run.until("the end", () => run.ended !== undefined);
      violations += (await faulty(host, run, DELTAS)).length;
      run.stop();
    }
  } finally {
    await host.end("SIGTERM");
    await host.folder.remove();
  }
  const how =
    "SIGKILL of the real daemon in the middle of a run whose worker is a plain process; from the start of the next daemon to the viewer's next event, Node's own start included";
  return slowest("a killed daemon's run goes on with the next daemon", times, violations, KILLED_MS, how);
}

/** The slowest trial has to meet the bar. */
function slowest(name: string, times: number[], violations: number, atMost: number, how: string): Result {
  return judged(
    {
      name,
      unit: "ms",
      value: quantile(times, 1),
      trials: times.length,
      violations,
      how: `${how}; the slowest of them, middle half ${middleHalf(times)}`,
    },
    { atMost },
  );
}
