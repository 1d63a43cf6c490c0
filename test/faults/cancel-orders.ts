/** Cancel meets the start, the completion, the loss of the lease and the retry, in every order. */
import { performance } from "node:perf_hooks";
import type { SessionEvent } from "#protocol/events.ts";
import type { Random } from "../fuzz/random.ts";
import type { Fault, Trial } from "./fault.ts";
import { accepted, finished, flaws, forgetLeases, leave, type Mouth, Offers, Pool } from "./pool.ts";

type Act = "cancel" | "start" | "complete" | "lose";
const ORDERS = permutations<Act>(["cancel", "start", "complete", "lose"]);

export const cancelOrders: Fault = {
  name: "cancel-orders",
  how: "cancel, start, completion and loss of the lease (with retryOn, so that a retry follows) in all 24 orders, each followed up at once or awaited: one run.finished, and cancelled when the log says cancelling; recovery is from the first of them to the end",
  trials: { long: ORDERS.length * 4, short: 8 },
  async open() {
    const pool = await Pool.open();
    const offers = new Offers();
    offers.follow(await pool.host());
    return {
      trial: (random, index) => play(pool, offers, ORDERS[(index * 5) % ORDERS.length] as Act[], random),
      dispose: () => pool.dispose(),
    };
  },
};

async function play(pool: Pool, offers: Offers, order: readonly Act[], random: Random): Promise<Trial> {
  const { page, runId, sessionId } = await pool.asked({ retryOn: ["host_lost"] });
  let mouth = await accepted(await offers.next(sessionId));
  const { host } = mouth;
  await mouth.link.message("run.start");
  mouth.send({ type: "run.accepted", runId });
  let lost = false;
  const tell = (message: Parameters<Mouth["send"]>[0]) => {
    // What a host says about a lease that it has lost goes nowhere.
    if (!lost) mouth.send(message);
  };
  const acts: Record<Act, () => unknown> = {
    cancel: () => page.ask({ type: "stop", runId }),
    start: () => tell({ type: "run.started", runId }),
    complete: () => tell({ type: "run.events", runId, events: [finished] }),
    lose: () => {
      lost = true;
      return forgetLeases(host, offers);
    },
  };
  const began = performance.now();
  const underWay: unknown[] = [];
  for (const act of order) {
    const done = acts[act]();
    if (random.chance(0.5)) await done;
    else underWay.push(done);
  }
  await Promise.all(underWay);
  // Whoever has the run now brings it to its end.
  const over = page.until("the end", (view) => view.runs[0]?.state === "finished");
  const ended = over.then(() => undefined);
  const retried = lost && (await Promise.race([ended, offers.next(sessionId).catch(() => undefined)]));
  // Cancelled between the offer and the acceptance, its session refuses it.
  const taken = retried && (await Promise.race([ended, accepted(retried).catch(() => undefined)]));
  if (taken) {
    mouth = taken;
    if (await Promise.race([ended, given(mouth)])) {
      mouth.send({ type: "run.started", runId });
      mouth.send({ type: "run.events", runId, events: [finished] });
    }
  } else if (!lost) {
    tell({ type: "run.events", runId, events: [finished] });
  }
  await over;
  const recoveryMs = performance.now() - began;
  const violations = [...flaws(page.events, runId, 0), ...contradictions(page.events, runId)].map(
    (flaw) => `${order.join(", ")}: ${flaw}`,
  );
  if (!lost) await leave({ mouth, page });
  page.close();
  return { violations, recoveryMs };
}

const given = (mouth: Mouth): Promise<boolean> =>
  mouth.link.message("run.start").then(
    () => true,
    () => false,
  );

function contradictions(events: readonly SessionEvent[], runId: string): string[] {
  const mine = events.filter((event) => event.runId === runId);
  const cancelling = mine.some((event) => event.type === "run.status" && event.data.state === "cancelling");
  const end = mine.find((event) => event.type === "run.finished");
  const outcome = end?.type === "run.finished" ? end.data.outcome : "none";
  const after = mine.slice(mine.findIndex(({ type }) => type === "run.finished") + 1);
  return [
    ...(cancelling && outcome !== "cancelled" ? [`it was cancelling and ended ${outcome}`] : []),
    ...(after.some(({ type }) => type.startsWith("run.")) ? ["it went on after its end"] : []),
  ];
}

function permutations<T>(list: readonly T[]): T[][] {
  if (list.length <= 1) return [[...list]];
  return list.flatMap((item, index) =>
    permutations(list.filter((_other, at) => at !== index)).map((rest) => [item, ...rest]),
  );
}
