/** Frames that come twice, too early or late: each counts once and in order, and a gap is said aloud. */
import { performance } from "node:perf_hooks";
import type { Random } from "../fuzz/random.ts";
import { within } from "../support/scripted-host.ts";
import type { Fault, Trial } from "./fault.ts";
import { begin, finished, flaws, leave, type Mouth, numbered, Pool } from "./pool.ts";

const EVENTS = 40;
const GAP = 4430;

export const framesDisturbed: Fault = {
  name: "frames-disturbed",
  how: `a host's ${EVENTS} numbered frames, each by chance sent twice, repeated later, sent before the one it follows, or written into a socket that is cut; the log has each once and in order, and a gap closes with ${GAP} and loses nothing`,
  trials: { long: 40, short: 3 },
  note: (figures) => {
    const total = (name: string) => figures.reduce((sum, each) => sum + (each[name] ?? 0), 0);
    return `${total("doubled")} doubled, ${total("reordered")} reordered, ${total("delayed")} delayed or cut off`;
  },
  async open() {
    const pool = await Pool.open();
    const host = await pool.host();
    return {
      trial: (random) => disturb(pool, host, random),
      dispose: () => pool.dispose(),
    };
  },
};

async function disturb(pool: Pool, host: Awaited<ReturnType<Pool["host"]>>, random: Random): Promise<Trial> {
  const { mouth, page, runId } = await pool.running(host);
  const violations: string[] = [];
  const figures = { doubled: 0, reordered: 0, delayed: 0 };
  let recoveryMs = 0;
  const say = (k: number) => ({ type: "run.events" as const, runId, events: [numbered(k)] });
  mouth.send({ type: "run.events", runId, events: [begin] });
  for (let k = 1; k <= EVENTS; k++) {
    const how = random.weighted({ plain: 10, twice: 3, again: 3, reordered: 2, cut: 2 });
    const frame = mouth.keep(say(k));
    if (how === "twice" || how === "again") figures.doubled++;
    if (how === "twice") for (const each of [frame, frame]) mouth.link.raw(each);
    else if (how === "again") {
      mouth.link.raw(frame);
      mouth.link.raw(mouth.frame(random.int(1, mouth.messages.length)));
    } else if (how === "plain") mouth.link.raw(frame);
    else if (how === "reordered") {
      figures.reordered++;
      // The next one overtakes this one, which then comes into a socket that is being closed.
      mouth.link.raw(mouth.keep(say(++k)));
      mouth.link.raw(frame);
      const began = performance.now();
      const { code } = await within(mouth.link.closed, () => "the link to be closed over a gap");
      if (code !== GAP) violations.push(`a gap was closed with ${code}`);
      recoveryMs = Math.max(recoveryMs, await back(mouth, began));
    } else {
      figures.delayed++;
      if (random.chance(0.5)) mouth.link.raw(frame);
      mouth.link.socket.terminate();
      recoveryMs = Math.max(recoveryMs, await back(mouth, performance.now()));
    }
  }
  // `k` may have gone one further.
  const said = mouth.messages.filter(({ type }) => type === "run.events").length - 1;
  await mouth.told({ type: "run.events", runId, events: [finished] });
  await page.until("the end", (view) => view.runs[0]?.state === "finished");
  violations.push(...flaws(page.events, runId, said));
  await leave({ mouth, page });
  return { violations, figures, ...(recoveryMs > 0 && { recoveryMs }) };
}

async function back(mouth: Mouth, began: number): Promise<number> {
  await mouth.resume();
  await mouth.drained();
  return performance.now() - began;
}
