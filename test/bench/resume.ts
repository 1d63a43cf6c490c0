/** Coming back: a page with a cursor far behind, and an object that was put out of memory meanwhile. */
import { performance } from "node:perf_hooks";
import { judged, type Result } from "./result.ts";
import { type BenchSession, interleaved, type Side } from "./side.ts";
import { median, middleHalf, quantile } from "./statistics.ts";
import type { Viewer } from "./viewer.ts";

type Watched = { session: BenchSession; viewer: Viewer };

const BEHIND = 3_000;
/** Frames sent ahead while the log is filled. */
const FILL_WINDOW = 64;

export async function measureResume(sides: readonly [Side, Side], rounds: number): Promise<Result[]> {
  const sessions = new Map<Side, BenchSession>();
  let violations = 0;
  for (const side of sides) {
    const session = await side.newSession();
    await fill(session);
    sessions.set(side, session);
  }
  const coming = async (side: Side, behind: number) => {
    const session = sessions.get(side) as BenchSession;
    const began = performance.now();
    const viewer = await session.join(session.sent - behind);
    const took = (await viewer.live()) - began;
    if (viewer.last !== session.sent) violations += session.sent - viewer.last;
    violations += viewer.violations;
    await viewer.close();
    return took;
  };
  const measured = await interleaved(sides, { rounds, warmUp: 5 }, async (side) => ({
    behind: await coming(side, BEHIND),
    upToDate: await coming(side, 0),
  }));
  const tails = measured.map((each) => each.map(({ behind, upToDate }) => behind - upToDate));
  const whole = measured.map((each) => each.map(({ behind }) => behind));
  const [ours = [], floor = []] = tails;
  const [oursWhole = [], floorWhole = []] = whole;
  const how = `${rounds} connections each side in turns; ${BEHIND} events of 200 bytes, a row each`;
  return [
    judged(
      {
        name: `resume of ${BEHIND} events, at the object`,
        unit: "ms",
        value: median(ours),
        floor: median(floor),
        trials: ours.length,
        violations,
        how: `${how}; from connecting until live, less the same with nothing to catch up (sign-in, upgrade) right after it; middle half ${middleHalf(ours)}`,
      },
      { atMost: 15 },
    ),
    judged({
      name: `resume of ${BEHIND} events, whole`,
      unit: "ms",
      value: median(oursWhole),
      floor: median(floorWhole),
      trials: oursWhole.length,
      violations,
      how: `${how}; from connecting until live, with connection, sign-in (not in the floor) and upgrade; p99 ${quantile(oursWhole, 0.99).toFixed(1)} ms`,
    }),
  ];
}

export async function measureWake(sides: readonly [Side, Side], rounds: number): Promise<Result> {
  const open = new Map<Side, Watched>();
  for (const side of sides) {
    const session = await side.newSession();
    await fill(session);
    const viewer = await session.join(session.sent);
    await viewer.live();
    open.set(side, { session, viewer });
  }
  const measured = await interleaved(sides, { rounds, warmUp: 3 }, async (side) => {
    const { session, viewer } = open.get(side) as Watched;
    await session.evict();
    const arrived = new Promise<number>((resolve) => {
      viewer.onEvent = (_k, at) => resolve(at);
    });
    const began = performance.now();
    session.send(1);
    return (await arrived) - began;
  });
  const [ours = [], floor = []] = measured;
  const violations = [...open.values()].reduce((total, { viewer }) => total + viewer.violations, 0);
  await Promise.all([...open.values()].map(({ viewer }) => viewer.close()));
  return judged({
    name: "waking after eviction: event to viewer",
    unit: "ms",
    value: median(ours),
    floor: median(floor),
    trials: ours.length,
    violations,
    how: `${rounds} times each side in turns: a session with ${BEHIND} events is put out of memory, its sockets stay; then one event from the host's send to the viewer's receipt; p99 ${quantile(ours, 0.99).toFixed(1)} ms, of the floor ${quantile(floor, 0.99).toFixed(1)} ms`,
  });
}

/** One event per frame, so that each is a row of its own. */
async function fill(session: BenchSession): Promise<void> {
  const viewer = await session.join(0);
  viewer.onEvent = (k) => {
    if (session.sent < BEHIND && session.sent - k < FILL_WINDOW) session.send(1);
  };
  for (let i = 0; i < FILL_WINDOW; i++) session.send(1);
  await viewer.has(BEHIND);
  await viewer.close();
}
