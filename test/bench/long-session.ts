/** A session with 100,000 events: put out of memory and woken, and read by somebody who comes for the first time. */
import { performance } from "node:perf_hooks";
import { judged, type Result } from "./result.ts";
import { type BenchSession, interleaved, type Side } from "./side.ts";
import { median, middleHalf, quantile } from "./statistics.ts";
import type { Viewer } from "./viewer.ts";

const EVENTS = 100_000;
const PER_FRAME = 100;
const FRAMES_UNDER_WAY = 8;

type Rounds = { wakes: number; resumes: number };

export async function measureLong(sides: readonly [Side, Side], { wakes, resumes }: Rounds): Promise<Result[]> {
  const open = new Map<Side, BenchSession>();
  for (const side of sides) {
    const session = await side.newSession();
    await fill(session);
    open.set(side, session);
  }
  const session = (side: Side) => open.get(side) as BenchSession;
  const results = [await wake(sides, session, wakes)];
  results.push(await resume(sides, session, resumes, "while its run goes on", 3));
  for (const side of sides) await session(side).finish?.();
  results.push(await resume(sides, session, resumes, "run over and folded", 3));
  return results;
}

async function wake(sides: readonly [Side, Side], of: (side: Side) => BenchSession, rounds: number): Promise<Result> {
  const viewers = new Map<Side, Viewer>();
  for (const side of sides) {
    const viewer = await of(side).join(of(side).sent);
    await viewer.live();
    viewers.set(side, viewer);
  }
  const [ours = [], floor = []] = await interleaved(sides, { rounds, warmUp: 3 }, async (side) => {
    await of(side).evict();
    const viewer = viewers.get(side) as Viewer;
    const arrived = new Promise<number>((resolve) => {
      viewer.onEvent = (_k, at) => resolve(at);
    });
    const began = performance.now();
    of(side).send(1);
    return (await arrived) - began;
  });
  const violations = [...viewers.values()].reduce((total, viewer) => total + viewer.violations, 0);
  await Promise.all([...viewers.values()].map((viewer) => viewer.close()));
  return judged(
    {
      name: `waking a session of ${EVENTS} events: event to viewer`,
      unit: "ms",
      value: median(ours),
      floor: median(floor),
      trials: ours.length,
      violations,
      how: `${rounds} times each side in turns: put out of memory, its sockets stay; then one event from the host's send to the viewer's receipt; p99 ${quantile(ours, 0.99).toFixed(1)} ms, of the floor ${quantile(floor, 0.99).toFixed(1)} ms`,
    },
    { atMost: 20 },
  );
}

async function resume(
  sides: readonly [Side, Side],
  of: (side: Side) => BenchSession,
  rounds: number,
  what: string,
  warmUp: number,
): Promise<Result> {
  let violations = 0;
  const [ours = [], floor = []] = await interleaved(sides, { rounds, warmUp }, async (side) => {
    const began = performance.now();
    const viewer = await of(side).join(0);
    const took = (await viewer.live()) - began;
    violations += viewer.violations + (of(side).sent - viewer.last);
    await viewer.close();
    return took;
  });
  return judged({
    name: `first visit to a session of ${EVENTS} events, ${what}`,
    unit: "ms",
    value: median(ours),
    floor: median(floor),
    trials: ours.length,
    violations,
    how: `${rounds} connections each side in turns, from connecting until live, with sign-in (not in the floor); ours is a snapshot, the floor sends every row; middle half ${middleHalf(ours)}, of the floor ${middleHalf(floor)}`,
  });
}

async function fill(session: BenchSession): Promise<void> {
  const viewer = await session.join(0);
  const more = () => {
    if (session.sent < EVENTS) session.send(PER_FRAME);
  };
  viewer.onEvent = (k) => {
    if (k % PER_FRAME === 0) more();
  };
  for (let i = 0; i < FRAMES_UNDER_WAY; i++) more();
  await viewer.has(EVENTS);
  await viewer.close();
}
