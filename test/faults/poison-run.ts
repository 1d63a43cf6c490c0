/** A run that takes its host down each time, before it has started, beside runs that are well. */
import { performance } from "node:perf_hooks";
import { MAX_ATTEMPTS } from "#protocol/limits.ts";
import { quantile, rounded } from "../bench/statistics.ts";
import type { Fault, Form, Trial } from "./fault.ts";
import { accepted, ending, finished, forgetLeases, leave, Offers, Pool } from "./pool.ts";

/** Healthy runs one after the other with no poison, in each trial. */
const ALONE: Record<Form, number> = { long: 30, short: 3 };

export const poisonRun: Fault = {
  name: "poison-run",
  how: `a run whose host is lost before its start each time: it is placed ${MAX_ATTEMPTS} times and then failed with host_lost, and the runs of other sessions, one after the other all the while, succeed; recovery is from each loss to the next offer`,
  trials: { long: 20, short: 1 },
  async open(form) {
    const pool = await Pool.open();
    const offers = new Offers();
    for (const name of ["a", "b", "c"]) offers.follow(await pool.host({ name }));
    // Of all trials: a trial alone has too few for a p95.
    const aloneMs: number[] = [];
    const besideMs: number[] = [];
    return {
      trial: async () => {
        const trial = await poison(pool, offers, { rounds: ALONE[form], aloneMs, besideMs });
        const [alone, beside] = [quantile(aloneMs, 0.95), quantile(besideMs, 0.95)];
        return { ...trial, figures: { alone, beside, healthy: besideMs.length } };
      },
      dispose: () => pool.dispose(),
    };
  },
  note: (figures) => {
    const { alone = 0, beside = 0, healthy = 0 } = figures.at(-1) ?? {};
    return `${healthy} healthy runs beside it: p95 ${rounded(beside)} ms, alone ${rounded(alone)} ms (${rounded(beside / alone)}x)`;
  },
};

type Healthy = { rounds: number; aloneMs: number[]; besideMs: number[] };

async function poison(pool: Pool, offers: Offers, { rounds, aloneMs, besideMs }: Healthy): Promise<Trial> {
  const violations: string[] = [];
  const healthy = async () => {
    const began = performance.now();
    const { page, runId, sessionId } = await pool.asked();
    const mouth = await accepted(await offers.next(sessionId));
    mouth.send({ type: "run.started", runId });
    mouth.send({ type: "run.events", runId, events: [finished] });
    await page.until("a healthy run to end", (view) => view.runs[0]?.state === "finished");
    const took = performance.now() - began;
    if (ending(page) !== "succeeded") violations.push(`a healthy run ended ${ending(page)}`);
    await leave({ mouth, page });
    return took;
  };
  for (let n = 0; n < rounds; n++) aloneMs.push(await healthy());
  const { page, runId, sessionId } = await pool.asked();
  let recoveryMs = 0;
  let attempts = 0;
  let isOver = false;
  const over = page
    .until("the poison to be over", (view) => view.runs[0]?.state === "finished")
    .finally(() => {
      isOver = true;
    });
  // One after the other, as those alone are, and each counts: the slowest of some is slower than one, poison or not.
  const crowd = (async () => {
    while (!isOver) besideMs.push(await healthy());
  })();
  let lostAt: number | undefined;
  for (;;) {
    const offer = await Promise.race([over.then(() => undefined), offers.next(sessionId)]);
    if (!offer) break;
    if (lostAt !== undefined) recoveryMs = Math.max(recoveryMs, performance.now() - lostAt);
    attempts++;
    const mouth = await accepted(offer);
    await mouth.link.message("run.start");
    mouth.send({ type: "run.accepted", runId });
    lostAt = performance.now();
    await forgetLeases(offer.host, offers);
  }
  await crowd;
  if (ending(page) !== "failed host_lost") violations.push(`it ended ${ending(page)}`);
  if (attempts !== MAX_ATTEMPTS) violations.push(`it was placed ${attempts} times`);
  page.close();
  return { violations, recoveryMs };
}
