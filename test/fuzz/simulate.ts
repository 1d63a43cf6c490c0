/**
 * One world from its seed to its end: steps with everything that follows from them, then a time in which all is well.
 * The checker looks after each thing that happens. The same seed and steps give the same world.
 */
import { LIMITS } from "#protocol/limits.ts";
import { atRest, checkEnd, checkStep } from "./invariants.ts";
import { INJECTED } from "./object-node.ts";
import { carryOut, planOf, type Step } from "./plan.ts";
import { type Violation, World } from "./world.ts";

export type Outcome = {
  seed: string;
  /** Everything that happened, people's acts and faults included. */
  happenings: number;
  virtualMs: number;
  faults: Map<string, number>;
  /** Runs that had begun and were repeated, as they had asked with `retryOn`. */
  repeatedOnWish: number;
  violations: Violation[];
  trace: string[];
};

export const STEPS_PER_WORLD = 40;
/** By then, with nothing broken any more, every run has to have ended. */
const PATIENCE_MS = 40 * 60_000;
/** Nothing may go on for ever without time passing, either. */
const MAX_HAPPENINGS = 60_000;

export async function simulate(
  seed: string,
  steps: readonly Step[] = planOf(seed, STEPS_PER_WORLD),
  tracing = false,
): Promise<Outcome> {
  const world = new World(seed);
  world.tracing = tracing;
  const restore = enter(world);
  let happenings = 0;
  const until = async (moment: number, done: () => boolean = () => false): Promise<void> => {
    for (let next = world.agenda.nextAt(); next !== undefined && next <= moment; next = world.agenda.nextAt()) {
      const happening = world.agenda.take();
      if (++happenings > MAX_HAPPENINGS) throw new Error("this world does not come to rest");
      world.note(happening?.label ?? "");
      happening?.run();
      await microtasks();
      checkStep(world);
      if (world.violations.length > 0 || done()) return;
    }
    world.agenda.now = Math.max(world.agenda.now, moment);
  };
  const began = world.agenda.now;
  try {
    for (const step of steps) {
      await until(world.agenda.now + step.afterMs);
      if (world.violations.length > 0) break;
      carryOut(world, step);
      happenings++;
      await microtasks();
      checkStep(world);
    }
    if (world.violations.length === 0) await wellAgain(world, until);
  } catch (error) {
    world.defect(error instanceof Error ? (error.stack ?? error.message) : String(error));
  } finally {
    restore();
    world.close();
  }
  countSeen(world);
  const { violations, faults, trace, ledger } = world;
  return {
    seed,
    happenings,
    virtualMs: world.agenda.now - began,
    faults,
    repeatedOnWish: ledger.repeatedOnWish,
    violations,
    trace,
  };
}

async function wellAgain(world: World, until: (moment: number, done?: () => boolean) => Promise<void>): Promise<void> {
  world.note("HEALED");
  world.heal();
  const end = world.agenda.now + PATIENCE_MS;
  while (world.agenda.now < end && world.violations.length === 0) {
    world.people.tidyUp();
    await until(Math.min(end, world.agenda.now + 20_000));
    // Agreements take a moment longer than the last run.
    if (atRest(world)) {
      await until(world.agenda.now + 90_000);
      if (atRest(world)) break;
    }
  }
  if (world.violations.length === 0) checkEnd(world);
}

/** Everything that can go on without the clock has gone on. */
const microtasks = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The platform's globals as the objects find them in this world. */
function enter(world: World): () => void {
  const { now } = Date;
  const { log } = console;
  const { unfoldedBytes } = LIMITS;
  // Runs say little here; theirs are long sooner.
  Object.assign(LIMITS, { unfoldedBytes: 600 });
  Date.now = () => world.agenda.now;
  console.log = (line: string) => {
    world.note(`log ${line.replace(/"time":"[^"]*",/, "")}`);
    if (line.startsWith('{"level":"error"') && !line.includes(INJECTED)) world.defect(line);
  };
  for (const [name, value] of Object.entries({ READY_STATE_OPEN: 1, READY_STATE_CLOSED: 3 }))
    if (!(name in WebSocket)) Object.defineProperty(WebSocket, name, { value, configurable: true });
  return () => {
    Date.now = now;
    console.log = log;
    Object.assign(LIMITS, { unfoldedBytes });
  };
}

function countSeen({ network, alarms, faults }: World): void {
  const seen = {
    "request lost": network.seen.lost,
    "answer lost": network.seen.answerLost,
    "delayed by seconds": network.seen.slow,
    "frame repeated": network.seen.repeated,
    "alarm late": alarms.seen.late,
    "alarm twice": alarms.seen.twice,
    "alarm never": alarms.seen.never,
  };
  for (const [name, count] of Object.entries(seen)) if (count > 0) faults.set(name, count);
}
