/** How fast a long queue is worked off, and that each run is handed out once. Hosts are scripted: what is measured is the control plane. */
import { performance } from "node:perf_hooks";
import { accepted, finished, type Offer, Offers, Pool } from "../faults/pool.ts";
import type { Peer } from "./peers/peers.ts";
import { judged, type Result } from "./result.ts";

/** Requests that are under way together while the queue is filled. */
const ENQUEUED_AT_ONCE = 8;
/** Few enough that the queue is worked off in turns, as it is on real machines. */
const SLOTS = 8;

/** Jobs that wait, worked off by as many workers of each peer. */
export async function measurePeersDrain(
  peers: readonly Peer[],
  load: { runs: number; hosts: number },
): Promise<Result[]> {
  const results: Result[] = [];
  for (const peer of peers) {
    const { rate, violations } = await peer.drain({ jobs: load.runs, workers: load.hosts, each: SLOTS });
    results.push(
      judged(
        {
          name: `drain of ${load.runs} jobs over ${load.hosts} workers, ${peer.name}`,
          unit: "jobs/s",
          value: rate,
          trials: load.runs,
          violations,
          how: `right after, a job being a function that returns at once, ${SLOTS} at once in each worker`,
        },
        { noViolations: true },
      ),
    );
  }
  return results;
}

/** Runs that wait for a host, each in a session of its own, worked off by hosts that do nothing but take and finish. */
export async function measureDrain({ runs, hosts: count }: { runs: number; hosts: number }): Promise<Result> {
  const pool = await Pool.open();
  try {
    const waiting = new Set<string>();
    for (let i = 0; i < runs; i += ENQUEUED_AT_ONCE) {
      const some = Array.from({ length: Math.min(ENQUEUED_AT_ONCE, runs - i) }, () => enqueueNew(pool));
      for (const runId of await Promise.all(some)) waiting.add(runId);
    }
    const done: string[] = [];
    const offers = new Offers();
    const began = performance.now();
    await Promise.all(
      Array.from({ length: count }, async (_, index) =>
        offers.follow(await pool.host({ name: `h${index}`, slots: SLOTS })),
      ),
    );
    const serving: Promise<void>[] = [];
    while (serving.length < runs) {
      const offer = await offers.any();
      serving.push(serve(offer).then((runId) => void done.push(runId)));
    }
    await Promise.all(serving);
    const took = performance.now() - began;
    const [row] = await pool.plane.query("SELECT count(*) AS n FROM runs WHERE attempts > 1");
    const doubles = done.length - new Set(done).size + Number(row?.n ?? 0);
    const strangers = done.filter((runId) => !waiting.has(runId)).length;
    return judged(
      {
        name: `drain of ${runs} queued runs over ${count} hosts`,
        unit: "runs/s",
        value: runs / (took / 1_000),
        trials: runs,
        violations: doubles + strangers + (runs - new Set(done).size),
        how: `each in a session of its own, ${SLOTS} slots a host; every run has its offer, data link, start, end and stop; from the first host's connection to the last end. Violations: runs that were handed out twice`,
      },
      { noViolations: true },
    );
  } finally {
    await pool.dispose();
  }
}

async function enqueueNew(pool: Pool): Promise<string> {
  const body = { prompt: "say x", provider: "scripted" };
  const answer = await pool.plane.call("/api/runs/queue/enqueue", { method: "POST", body });
  if (answer.status !== 202) throw new Error(`enqueue: HTTP ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { runId: string }).runId;
}

/** A host's whole part in one run; answers which. */
async function serve(offer: Offer): Promise<string> {
  const mouth = await accepted(offer);
  const { run } = await mouth.link.message<{ type: string; run: { runId: string } }>("run.start");
  mouth.send({ type: "run.started", runId: run.runId });
  await mouth.told({ type: "run.events", runId: run.runId, events: [finished] });
  mouth.send({ type: "worker.status", state: "stopped" });
  await mouth.link.closed;
  return run.runId;
}
