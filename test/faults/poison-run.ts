/** A run that takes its host down each time, before it has started, beside runs that are well. */
import { performance } from "node:perf_hooks";
import { MAX_ATTEMPTS } from "#protocol/limits.ts";
import { quantile, rounded } from "../bench/statistics.ts";
import type { Fault, Trial } from "./fault.ts";
import { accepted, ending, finished, forgetLeases, leave, Offers, Pool } from "./pool.ts";

export const poisonRun: Fault = {
  name: "poison-run",
  how: `a run whose host is lost before its start each time: it is placed ${MAX_ATTEMPTS} times and then failed with host_lost, and the run of another session beside each attempt succeeds; recovery is from each loss to the next offer`,
  trials: { long: 30, short: 1 },
  note: (figures) => {
    const of = (name: string) => figures.flatMap((each) => each[name] ?? []);
    const [beside, alone] = [quantile(of("besideMs"), 0.95), quantile(of("aloneMs"), 0.95)];
    return `healthy p95 beside it ${rounded(beside)} ms, alone ${rounded(alone)} ms (${rounded(beside / alone)}x)`;
  },
  async open() {
    const pool = await Pool.open();
    const offers = new Offers();
    for (const name of ["a", "b", "c"]) offers.follow(await pool.host({ name }));
    return { trial: () => poison(pool, offers), dispose: () => pool.dispose() };
  },
};

async function poison(pool: Pool, offers: Offers): Promise<Trial> {
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
  const aloneMs = await healthy();
  const { page, runId, sessionId } = await pool.asked();
  let besideMs = 0;
  let recoveryMs = 0;
  let attempts = 0;
  const over = page.until("the poison to be over", (view) => view.runs[0]?.state === "finished");
  let lostAt: number | undefined;
  for (;;) {
    const offer = await Promise.race([over.then(() => undefined), offers.next(sessionId)]);
    if (!offer) break;
    if (lostAt !== undefined) recoveryMs = Math.max(recoveryMs, performance.now() - lostAt);
    attempts++;
    const mouth = await accepted(offer);
    await mouth.link.message("run.start");
    mouth.send({ type: "run.accepted", runId });
    besideMs = Math.max(besideMs, await healthy());
    lostAt = performance.now();
    await forgetLeases(offer.host, offers);
  }
  if (ending(page) !== "failed host_lost") violations.push(`it ended ${ending(page)}`);
  if (attempts !== MAX_ATTEMPTS) violations.push(`it was placed ${attempts} times`);
  page.close();
  return { violations, recoveryMs, figures: { besideMs, aloneMs } };
}
