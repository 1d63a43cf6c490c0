/** What a seed has in store: people's acts and faults, as a list of steps that can be cut short. */
import { Random } from "./random.ts";
import type { World } from "./world.ts";

/** `target` picks whom it concerns; `size` how much. Both in [0, 1). */
export type Step = { afterMs: number; kind: StepKind; target: number; size: number };

const between = (from: number, to: number, size: number): number => Math.round(from + (to - from) * size);
const one = <T>(list: readonly T[], target: number): T => list[Math.floor(target * list.length)] as T;

type Act = (world: World, target: number, size: number) => void;
/** How often each is drawn, whether it is a fault, and what it does. */
const KINDS = {
  prompt: [22, "people", (world, target) => world.people.prompt(one(world.sessions, target))],
  burst: [
    4,
    "people",
    (world, target) => {
      for (let count = 0; count < 3; count++) world.people.prompt(one(world.sessions, target));
    },
  ],
  stop: [7, "people", (world, target) => world.people.stop(one(world.sessions, target))],
  reply: [10, "people", (world, target) => world.people.reply(one(world.sessions, target))],
  rename: [1, "people", (world, target) => world.people.rename(one(world.sessions, target))],
  redrive: [2, "people", (world, target) => world.people.redrive(target)],
  "host drained": [
    1.5,
    "people",
    (world, target, size) => {
      const host = one(world.hosts, target);
      world.fleet.drain(host.id, true);
      world.agenda.after(between(1_000, 90_000, size), `${host.id} goes back to work`, () => host.goBackToWork());
    },
  ],
  remove: [0.5, "people", (world, target) => world.people.remove(one(world.sessions, target))],
  "wait a while": [3, "people", () => {}],
  "command again": [4, "fault", (world) => world.people.again()],
  "command id reused": [2, "fault", (world, target) => world.people.reuse(one(world.sessions, target))],
  "session killed": [
    4,
    "fault",
    (world, target, size) => one(world.sessions, target).kill(between(10, 60_000, size ** 3)),
  ],
  "session evicted": [6, "fault", (world, target) => one(world.sessions, target).evict()],
  "fleet killed": [3, "fault", (world, _target, size) => world.fleet.kill(between(10, 60_000, size ** 4))],
  "fleet evicted": [5, "fault", (world) => world.fleet.evict()],
  "daemon killed": [4, "fault", (world, target) => world.crash(one(world.hosts, target), "daemon")],
  "machine down": [3, "fault", (world, target) => world.crash(one(world.hosts, target), "machine")],
  "disk lost": [
    0.7,
    "fault",
    (world, target, size) => {
      const host = one(world.hosts, target);
      host.loseDisk();
      world.agenda.after(between(1_000, 60_000, size), `${host.id} is set up again`, () => host.boot());
    },
  ],
  "host stands still": [
    4,
    "fault",
    (world, target, size) => {
      const host = one(world.hosts, target);
      host.freeze();
      world.agenda.after(between(500, 45_000, size), `${host.id} goes on`, () => host.thaw());
    },
  ],
  "host clock jumps": [1, "fault", (world, target) => one(world.hosts, target).clockJump()],
  "host offline": [3, "fault", (world, target) => one(world.hosts, target).goOffline()],
  "host offline at its next start": [
    1,
    "fault",
    (world, target) => {
      one(world.hosts, target).offlineAtStart = true;
    },
  ],
  "control link cut": [3, "fault", (world, target) => one(world.hosts, target).dials().control?.wire?.cut()],
  "control link dark": [2, "fault", (world, target) => one(world.hosts, target).dials().control?.wire?.goDark()],
  "data link cut": [
    4,
    "fault",
    (world, target) => {
      for (const dial of one(world.hosts, target).dials().data) dial.wire?.cut();
    },
  ],
  "data link dark": [
    2,
    "fault",
    (world, target) => {
      for (const dial of one(world.hosts, target).dials().data) dial.wire?.goDark();
    },
  ],
  "page cut": [3, "fault", (world, target) => one(world.pages, target).cut()],
  "network mood": [
    5,
    "fault",
    (world, target, size) => {
      const bad = target ** 2 * 0.95;
      world.network.mood = { requestLost: bad * size, answerLost: bad * (1 - size), slow: target * 0.2, repeat: 0.1 };
    },
  ],
  "network calm": [
    3,
    "people",
    (world) => (world.network.mood = { requestLost: 0, answerLost: 0, slow: 0, repeat: 0 }),
  ],
  "alarms unreliable": [
    3,
    "fault",
    (world, target, size) => {
      world.alarms.late = target * 0.5;
      world.alarms.twice = size * 0.5;
      world.alarms.never = target > 0.7 ? 0.2 : 0;
    },
  ],
  "database out": [
    2,
    "fault",
    (world, _target, size) => {
      world.database.out = true;
      world.agenda.after(between(1_000, 60_000, size), "the database is back", () => {
        world.database.out = false;
      });
    },
  ],
  "provider not ready": [
    1.5,
    "fault",
    (world, target, size) => {
      const host = one(world.hosts, target);
      host.ready = false;
      host.tellFacts();
      world.agenda.after(between(1_000, 90_000, size), `${host.id} is ready again`, () => {
        host.ready = true;
        host.tellFacts();
      });
    },
  ],
  "host refuses": [
    2,
    "fault",
    (world, target, size) => {
      const host = one(world.hosts, target);
      host.moody = 0.7;
      world.agenda.after(between(1_000, 60_000, size), `${host.id} takes work again`, () => {
        host.moody = 0;
      });
    },
  ],
} as const satisfies Record<string, readonly [number, "people" | "fault", Act]>;

type StepKind = keyof typeof KINDS;
const WEIGHTS = Object.fromEntries(Object.entries(KINDS).map(([kind, [weight]]) => [kind, weight])) as Record<
  StepKind,
  number
>;

export function planOf(seed: string, steps: number): Step[] {
  const random = new Random(seed, "plan");
  const plan: Step[] = [{ afterMs: 3_000, kind: "prompt", target: random.next(), size: random.next() }];
  while (plan.length < steps) {
    const kind = random.weighted(WEIGHTS);
    const afterMs =
      kind === "wait a while"
        ? random.int(60_000, 1_200_000)
        : random.chance(0.3)
          ? random.int(0, 100)
          : random.int(100, 9_000);
    plan.push({ afterMs, kind, target: random.next(), size: random.next() });
  }
  return plan;
}

export function carryOut(world: World, { kind, target, size }: Step): void {
  const [, sort, act] = KINDS[kind] as readonly [number, "people" | "fault", Act];
  world.note(`STEP ${kind} ${target.toFixed(3)} ${size.toFixed(3)}`);
  if (sort === "fault") world.count(kind);
  act(world, target, size);
}
