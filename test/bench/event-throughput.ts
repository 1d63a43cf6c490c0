/** How many events per second one session takes, stores and shows to one viewer, when its host says as much as it can. */
import { performance } from "node:perf_hooks";
import { judged, type Result } from "./result.ts";
import { type BenchSession, interleaved, type Side } from "./side.ts";
import { median, middleHalf } from "./statistics.ts";
import type { Viewer } from "./viewer.ts";

export type Throughput = {
  eventsPerFrame: number;
  framesPerBlock: number;
  /** Frames that are sent before the first of them has come to the viewer. */
  window: number;
  rounds: number;
  atLeast: number;
};

export async function measureThroughput(sides: readonly [Side, Side], load: Throughput): Promise<Result> {
  const open = new Map<Side, { session: BenchSession; viewer: Viewer }>();
  for (const side of sides) {
    const session = await side.newSession();
    const viewer = await session.join(0);
    await viewer.live();
    open.set(side, { session, viewer });
  }
  const rates = await interleaved(sides, { rounds: load.rounds, warmUp: 1 }, async (side) => {
    const { session, viewer } = open.get(side) as { session: BenchSession; viewer: Viewer };
    return await block(session, viewer, load);
  });
  const [ours, floor] = rates as [number[], number[]];
  const viewers = [...open.values()].map(({ viewer }) => viewer);
  const violations = viewers.reduce((total, viewer) => total + viewer.violations, 0);
  await Promise.all(viewers.map((viewer) => viewer.close()));
  const { eventsPerFrame, framesPerBlock, window } = load;
  return judged(
    {
      name: `event throughput, ${eventsPerFrame === 1 ? "one event" : `${eventsPerFrame} events`} per frame`,
      unit: "events/s",
      value: median(ours),
      floor: median(floor),
      trials: ours.length,
      violations,
      how: `${load.rounds} blocks each side in turns, ${framesPerBlock} frames with ${eventsPerFrame} event(s) of 200 bytes, at most ${window} frames under way, one viewer; until the viewer has the last; middle half ${middleHalf(ours)}, of the floor ${middleHalf(floor)}`,
    },
    { atLeast: load.atLeast },
  );
}

/** Events per second. */
async function block(session: BenchSession, viewer: Viewer, load: Throughput): Promise<number> {
  const { eventsPerFrame, framesPerBlock, window } = load;
  const first = session.sent;
  const total = eventsPerFrame * framesPerBlock;
  const ahead = eventsPerFrame * window;
  const began = performance.now();
  const fill = (seen: number) => {
    while (session.sent - seen < ahead && session.sent - first < total) session.send(eventsPerFrame);
  };
  viewer.onEvent = (k) => {
    // Asked once per frame: at its last event.
    if ((k - first) % eventsPerFrame === 0) fill(k);
  };
  fill(first);
  await viewer.has(first + total);
  viewer.onEvent = () => undefined;
  return total / ((performance.now() - began) / 1_000);
}
