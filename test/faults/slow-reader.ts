/** One of fifty viewers stops reading. It is cut off and comes back without a hole; the others do not feel it. */
import { performance } from "node:perf_hooks";
import type { RunEvent } from "#protocol/events.ts";
import { quantile, rounded } from "../bench/statistics.ts";
import { mark, Viewer } from "../bench/viewer.ts";
import type { Random } from "../fuzz/random.ts";
import { Page } from "../support/live-session.ts";
import { type ScriptedHost, within } from "../support/scripted-host.ts";
import type { Fault, Form, Trial } from "./fault.ts";
import { finished, leave, Pool, type Running } from "./pool.ts";

const VIEWERS: Record<Form, number> = { long: 50, short: 12 };
const SLOW_READER = 4429;
const BEFORE = 100;
/** More than a page may be behind (8 MiB), with what the sockets on the way hold. */
const BEHIND = 450;
const EVENT_BYTES = 20_000;

export const slowReader: Fault = {
  name: "slow-reader",
  how: `${VIEWERS.long} viewers of a run with events of ${EVENT_BYTES / 1_000} kB; one stops to read after as many as the seed says and at least ${BEFORE}, and ${BEHIND} more come; it is closed with ${SLOW_READER} and comes back with its cursor: no event is missing or twice, neither with it nor with the others; recovery is until it has everything`,
  trials: { long: 20, short: 1 },
  note: (figures) => {
    const ratios = figures.map(({ ratio = 0 }) => ratio);
    return `p99 of the other viewers is ${rounded(quantile(ratios, 0.5))} times what it was before one stopped (median of the trials)`;
  },
  async open(form) {
    const pool = await Pool.open();
    const host = await pool.host();
    return { trial: (random) => stall(pool, host, random, VIEWERS[form]), dispose: () => pool.dispose() };
  },
};

async function stall(pool: Pool, host: ScriptedHost, random: Random, viewers: number): Promise<Trial> {
  const violations: string[] = [];
  const before = BEFORE + random.int(0, 50);
  const all = before + BEHIND;
  const run = await pool.running(host);
  const { mouth, runId, sessionId } = run;
  const from = run.page.view.cursor;
  const others = await crowd(pool, run, viewers - 1);
  const slow = await Page.open(pool.plane, sessionId, from);
  const speak = async (first: number, last: number) => {
    const latencies: number[] = [];
    for (let k = first; k <= last; k++) latencies.push(...(await others.hear(k)));
    return quantile(latencies, 0.99);
  };
  run.page.close();
  const calm = await speak(1, before);
  slow.socket.pause();
  const stalled = await speak(before + 1, all);
  const began = performance.now();
  // It reads on: behind what lay there for it is the close.
  slow.socket.resume();
  const { code } = await within(slow.closed, () => "the slow one to be cut off");
  if (code !== SLOW_READER) violations.push(`the slow one was closed with ${code}`);
  const back = await Page.open(pool.plane, sessionId, slow.events.at(-1)?.seq ?? from);
  const recoveryMs = performance.now() - began;
  let cursor = from;
  for (const { seq, from: first = seq } of [...slow.events, ...back.events] as { seq: number; from?: number }[]) {
    // What was folded meanwhile may begin with what it has.
    if (seq <= cursor || first > cursor + 1 || (first === seq && seq !== cursor + 1))
      violations.push(`event ${first} to ${seq} came after ${cursor}`);
    cursor = seq;
  }
  if (cursor - from < all) violations.push(`it has ${cursor - from} of ${all} events`);
  violations.push(...(await others.leave(all)));
  await mouth.told({ type: "run.events", runId, events: [finished] });
  await leave({ mouth, page: back });
  return { violations, recoveryMs, figures: { ratio: stalled / calm } };
}

/** The viewers who keep up. */
async function crowd(pool: Pool, { page, sessionId, mouth, runId }: Running, size: number) {
  const url = `${pool.plane.url.replace(/^http/, "ws")}/api/sessions/${sessionId}/socket?cursor=${page.view.cursor}`;
  const headers = { authorization: `Bearer ${pool.plane.serviceToken}` };
  const viewers = await Promise.all(
    Array.from({ length: size }, () => Viewer.open(url, { last: 0, headers, acknowledges: true })),
  );
  for (const viewer of viewers) await viewer.live();
  return {
    /** Says event `k`; answers how long it took to each, in milliseconds. */
    async hear(k: number): Promise<number[]> {
      const latencies: number[] = [];
      const sentAt = performance.now();
      for (const viewer of viewers) viewer.onEvent = (_k, at) => latencies.push(at - sentAt);
      mouth.send({ type: "run.events", runId, events: [large(k)] });
      await Promise.all(viewers.map((viewer) => viewer.has(k)));
      return latencies;
    },
    async leave(all: number): Promise<string[]> {
      const wrong = viewers.filter(({ last, violations }) => violations > 0 || last !== all);
      await Promise.all(viewers.map((viewer) => viewer.close()));
      return wrong.map(({ last, violations }) => `another viewer has ${last} of ${all} events, ${violations} wrong`);
    },
  };
}

const large = (k: number): RunEvent => ({
  type: "message.delta",
  data: { messageId: "m", chunks: [{ type: "text-delta", id: "1", delta: mark(k) + "x".repeat(EVENT_BYTES) }] },
});
