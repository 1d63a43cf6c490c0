/** The objects of a session and of its pool lose their memory after one step of a story; the log comes out the same. */
import { performance } from "node:perf_hooks";
import type { SessionEvent } from "#protocol/events.ts";
import { objectName } from "#protocol/ids.ts";
import { permission } from "../support/session-script.ts";
import type { Fault, Trial } from "./fault.ts";
import { accepted, begin, finished, leave, numbered, Offers, Pool } from "./pool.ts";

const STEPS = 12;
const WAYS = [
  { who: ["SessionObject", "FleetObject"], webSockets: "hibernate" },
  { who: ["SessionObject"], webSockets: "close" },
  { who: ["FleetObject"], webSockets: "hibernate" },
] as const;

type Story = { log: string; slowestMs: number; evictions: number };

export const evicted: Fault = {
  name: "evicted",
  how: `a story of ${STEPS} steps (prompt, lease, start, words, a follow-up, a permission asked and granted, the end, the follow-up, stop) with the session's object, the pool's or both put out of memory after each step in turn, sockets kept or cut: the log is the same as without; recovery is the slowest step after an eviction`,
  trials: { long: STEPS * WAYS.length, short: 4 },
  async open() {
    const pool = await Pool.open();
    const offers = new Offers();
    offers.follow(await pool.host());
    const { log } = await story(pool, offers, undefined);
    return {
      trial: async (random, index): Promise<Trial> => {
        const at = (index * 5) % STEPS;
        const way = WAYS[Math.floor(index / STEPS) % WAYS.length] ?? random.pick(WAYS);
        const told = await story(pool, offers, { at, way });
        const violations = told.log === log ? [] : [`after step ${at}, ${way.who}: ${difference(log, told.log)}`];
        if (told.evictions === 0) violations.push(`nothing was evicted after step ${at}`);
        return { violations, recoveryMs: told.slowestMs };
      },
      dispose: () => pool.dispose(),
    };
  },
};

async function story(
  pool: Pool,
  offers: Offers,
  fault: { at: number; way: (typeof WAYS)[number] } | undefined,
): Promise<Story> {
  let evictions = 0;
  let slowestMs = 0;
  let began: number | undefined;
  let steps = 0;
  let { page, sessionId, runId } = await pool.asked();
  let cut: () => Promise<unknown> = async () => undefined;
  const step = async () => {
    if (began !== undefined) slowestMs = performance.now() - began;
    began = undefined;
    if (steps++ !== fault?.at) return;
    const { who, webSockets } = fault.way;
    for (const className of who) {
      const name = objectName(pool.plane.organizationId, className === "SessionObject" ? sessionId : "default");
      evictions += await evict(pool, className, name, webSockets);
    }
    if (webSockets === "close") {
      await page.closed;
      page = await pool.reopened(page, 0);
      await cut();
    }
    began = performance.now();
  };

  await step();
  const offer = await offers.next(sessionId);
  await step();
  const mouth = await accepted(offer);
  cut = async () => {
    await mouth.link.closed;
    await mouth.resume();
  };
  await mouth.link.message("run.start");
  await step();
  await mouth.told({ type: "run.accepted", runId });
  await mouth.told({ type: "worker.status", state: "active" });
  await step();
  await mouth.told({ type: "run.started", runId });
  await step();
  await mouth.told({ type: "run.events", runId, events: [begin, numbered(1)] });
  await step();
  const followUp = await page.ask({ type: "prompt", prompt: { text: "and then" } });
  await step();
  const requestId = `req_${sessionId.slice(4)}-0000000001`;
  const asks = [permission(requestId), { type: "run.status", data: { state: "waiting" } } as const];
  await mouth.told({ type: "run.events", runId, events: asks });
  await step();
  await page.ask({ type: "reply", reply: { requestId, decision: "allow", scope: "once" } });
  await mouth.link.message("run.reply");
  await step();
  await mouth.told({ type: "run.events", runId, events: [numbered(2), finished] });
  await step();
  const next = await mouth.link.message<{ type: string; run: { runId: string } }>("run.start");
  if (!followUp.ok || next.run.runId !== followUp.runId) throw new Error("another run than the follow-up started");
  await mouth.told({ type: "run.started", runId: next.run.runId });
  await step();
  await page.ask({ type: "stop", runId: next.run.runId });
  await mouth.link.message("run.stop");
  await step();
  await mouth.told({ type: "run.events", runId: next.run.runId, events: [finished] });
  await page.until(
    "both ends",
    (view) => view.runs.length === 2 && view.runs.every(({ state }) => state === "finished"),
  );
  if (began !== undefined) slowestMs = performance.now() - began;
  const whole = await pool.reopened(page, 0);
  const log = told(whole.events, [sessionId, runId, next.run.runId]);
  whole.close();
  await leave({ mouth, page });
  return { log, slowestMs, evictions };
}

async function evict(pool: Pool, className: string, name: string, webSockets: "hibernate" | "close"): Promise<number> {
  try {
    await pool.plane.evict(className, name, { webSockets });
    return 1;
  } catch (error) {
    // Out of memory already is what was wanted.
    if (!String(error).includes("not currently running")) throw error;
    return 0;
  }
}

/** The log without what differs from one session to the next. */
function told(events: readonly SessionEvent[], ids: readonly string[]): string {
  return events
    .map(({ seq, type, data }) => {
      const text = ids.reduce((line, id, index) => line.replaceAll(id.slice(4), `<${index}>`), JSON.stringify(data));
      return `${seq} ${type} ${text
        .replace(/\b1[5-9]\d{11}\b/g, "<time>")
        .replace(/(ses|run|msg|cmd|hst|trc)_[a-z0-9-]+/g, "<$1>")
        .replace(/"epoch":\d+/g, '"epoch":0')}`;
    })
    .join("\n");
}

function difference(wanted: string, got: string): string {
  const lines = got.split("\n");
  const at = wanted.split("\n").findIndex((line, index) => line !== lines[index]);
  return `${wanted.split("\n")[at]} ≠ ${lines[at]}`;
}
