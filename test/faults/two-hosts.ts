/** Two hosts reach for one run at the same moment. */
import { performance } from "node:perf_hooks";
import type { Random } from "../fuzz/random.ts";
import { type ScriptedHost, type ScriptedLink, within } from "../support/scripted-host.ts";
import type { Fault, Trial } from "./fault.ts";
import { finished, flaws, leave, Mouth, type Offer, Offers, Pool } from "./pool.ts";

const REFUSED = 4412;

export const twoHosts: Fault = {
  name: "two-hosts",
  how: "the offer of a run is refused by the host that has it and goes to another; in an order chosen by the seed both then accept and dial its data link, the first under the epoch it had: one gets the run, the other is closed with 4412, and the run is done once",
  trials: { long: 1_000, short: 10 },
  note: (figures) => `winners: ${figures.filter(({ winners }) => winners === 1).length} times one of ${figures.length}`,
  async open() {
    const pool = await Pool.open();
    const hosts = [await pool.host({ name: "a" }), await pool.host({ name: "b" })];
    const offers = new Offers();
    for (const host of hosts) offers.follow(host);
    return { trial: (random) => race(pool, offers, random), dispose: () => pool.dispose() };
  },
};

async function race(pool: Pool, offers: Offers, random: Random): Promise<Trial> {
  const violations: string[] = [];
  const { page, runId, sessionId } = await pool.asked();
  const first = await offers.next(sessionId);
  const began = performance.now();
  const { epoch } = first.assignment;
  first.host.control.send({ type: "assign.reject", sessionId, epoch, reason: "busy" });
  const second = await offers.next(sessionId);
  // Each claims in two ways, and all four reach for it at once.
  const accept = ({ host, assignment }: Offer) =>
    void host.control.send({ type: "assign.accept", sessionId, epoch: assignment.epoch });
  const tries: Promise<Claim>[] = [];
  const acts = shuffled(random, [
    () => accept(first),
    () => accept(second),
    () => void tries.push(claim(first)),
    () => void tries.push(claim(second)),
  ]);
  for (const act of acts) act();
  const claims = await Promise.all(tries);
  const winners = claims.filter((each) => each.link !== undefined);
  if (winners.length !== 1) violations.push(`${winners.length} hosts got the run`);
  if (winners[0] && winners[0].host !== second.host) violations.push("the host that had refused got it");
  for (const { code } of claims) if (code !== undefined && code !== REFUSED) violations.push(`the loser saw ${code}`);
  const recoveryMs = performance.now() - began;
  const { link } = winners[0] ?? {};
  if (link) {
    const mouth = new Mouth(second.host, second.assignment, link);
    mouth.send({ type: "run.started", runId });
    await mouth.told({ type: "run.events", runId, events: [finished] });
    await page.until("the end", (view) => view.runs[0]?.state === "finished");
    violations.push(...flaws(page.events, runId, 0));
    await leave({ mouth, page });
  }
  return { violations, recoveryMs, figures: { winners: winners.length } };
}

type Claim = { host: ScriptedHost; link?: ScriptedLink; code?: number };

/** Dials the data link; with `link` when it was let in and given the run. */
async function claim({ host, assignment }: Offer): Promise<Claim> {
  const link = await host.dial(assignment);
  const closed = link.closed.then(({ code }) => ({ host, code }));
  const given = link
    .handshake(host.token, { epoch: assignment.epoch })
    .then(() => link.message("run.start"))
    .then(() => ({ host, link }));
  // Whichever does not come about says so when its patience is over; nobody listens then.
  given.catch(() => undefined);
  return await within(Promise.race([closed, given]), () => "a claim to be decided");
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
