/**
 * How long an event takes from the host's socket to a viewer's, one event per frame, paced so that none
 * waits for another.
 */
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { judged, type Result } from "./result.ts";
import { type BenchSession, interleaved, type Side } from "./side.ts";
import { median, middleHalf, quantile, sum } from "./statistics.ts";
import type { Viewer } from "./viewer.ts";

const EVENTS_PER_BLOCK = 200;
const P50_RATIO = 1.4;

type Watched = { session: BenchSession; viewers: Viewer[]; latencies: number[]; sentAt: number[] };
/** Milliseconds, one per delivery. */
type Block = { p50: number; latencies: number[] };

export async function measureLatency(
  sides: readonly [Side, Side],
  { viewers, rounds }: { viewers: number; rounds: number },
): Promise<Result[]> {
  const watched = new Map<Side, Watched>();
  for (const side of sides) watched.set(side, await watch(side, viewers));
  const blocks = await interleaved(sides, { rounds, warmUp: 2 }, (side) => block(watched.get(side) as Watched));
  const [ours, floor] = blocks as [Block[], Block[]];
  const violations = sum([...watched.values()].flatMap((each) => each.viewers.map((viewer) => viewer.violations)));
  await Promise.all([...watched.values()].flatMap((each) => each.viewers.map((viewer) => viewer.close())));

  const all = (side: Block[]) => side.flatMap((each) => each.latencies);
  const pairs = ours.map((each, index) => each.p50 / (floor[index] as Block).p50);
  const how = `${rounds} blocks of ${EVENTS_PER_BLOCK} events of 200 bytes each side in turns, one event per frame, 2 to 3 ms apart and not before every viewer has the one before, ${viewers} viewer${viewers > 1 ? "s" : ""}; from the host's send to each viewer's receipt`;
  const name = `event latency host to viewer, ${viewers} viewer${viewers > 1 ? "s" : ""}`;
  const trials = all(ours).length;
  return [
    judged(
      {
        name: `${name}, p50`,
        unit: "ms",
        value: median(ours.map((each) => each.p50)),
        floor: median(floor.map((each) => each.p50)),
        trials,
        violations,
        how: `${how}; median of the blocks' p50; ratio of the pairs, middle half ${middleHalf(pairs)}`,
      },
      { ratioAtMost: P50_RATIO },
    ),
    // No bar: on a shared machine the slowest hundredth is the neighbours'. The ratio says what is ours.
    judged({
      name: `${name}, p99`,
      unit: "ms",
      value: quantile(all(ours), 0.99),
      floor: quantile(all(floor), 0.99),
      trials,
      violations,
      how: `${how}; over all deliveries`,
    }),
  ];
}

async function watch(side: Side, count: number): Promise<Watched> {
  const session = await side.newSession();
  const watched: Watched = { session, viewers: [], latencies: [], sentAt: [] };
  for (let i = 0; i < count; i++) {
    const viewer = await session.join(session.sent);
    viewer.onEvent = (k, at) => watched.latencies.push(at - (watched.sentAt[k] as number));
    await viewer.live();
    watched.viewers.push(viewer);
  }
  return watched;
}

async function block(watched: Watched): Promise<Block> {
  const { session, viewers, sentAt } = watched;
  watched.latencies = [];
  for (let i = 0; i < EVENTS_PER_BLOCK; i++) {
    sentAt[session.sent + 1] = performance.now();
    session.send(1);
    // The next event waits for everybody, so that latency is not the length of a queue.
    await Promise.all([delay(2 + (i % 2)), ...viewers.map((viewer) => viewer.has(session.sent))]);
  }
  return { p50: median(watched.latencies), latencies: watched.latencies };
}
