/**
 * The workspace engine beside the tools of Debian: first save, nothing changed, ten files changed, restore; in memory and
 * on a disk, one tool after the other in each round, so that all of them meet the same noise.
 */
import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeWorkspace } from "../../executor-host/workspace/layer.ts";
import type { RestoreInput } from "../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { warmRestoreThreads } from "../../executor-host/workspace/restore-threads.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { canKeepBases } from "../../executor-host/workspace/warm-base.ts";
import { describeTree } from "../executor-host/workspace/fixture.ts";
import { judged, type Result } from "./result.ts";
import { median } from "./statistics.ts";
import { gantryIn } from "./workspace-gantry.ts";
import { type Peer, peersHere } from "./workspace-peers.ts";
import { bareWalk, editTen, makeTree } from "./workspace-tree.ts";

type Step = "first" | "unchanged" | "ten" | "restore";
/** Milliseconds that passed, and those that processors worked: on a busy machine the latter say more. */
type Samples = { wall: number[]; cpu: number[] };
type Times = Record<Step, Samples>;
type Warm = { cold: Samples; warm: Samples };
type Sizes = { storedBytes: number; objects: number; sentPerChanged: number };

const ROUNDS = 2;
/** A no-change sync and the walk that is its floor, in turns: short, so that one of them says little. */
const WALKS = 3;
const MS_PER_TICK = 10;

export async function measureWorkspace(): Promise<Result[]> {
  const peers = peersHere();
  // As a daemon does when it starts.
  warmRestoreThreads();
  const folders = [
    ["memory", "/dev/shm"],
    ["disk", tmpdir()],
  ] as const;
  const results: Result[] = [];
  for (const [medium, parent] of folders) {
    const folder = mkdtempSync(join(parent, "gantry-bench-ws-"));
    try {
      results.push(...(await measureOn(medium, folder, peers)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  return results;
}

async function measureOn(medium: string, folder: string, peers: readonly Peer[]): Promise<Result[]> {
  const root = join(folder, "tree");
  makeTree(root);
  const times = new Map<string, Times>(["gantry", ...peers.map(({ name }) => name)].map((name) => [name, noTimes()]));
  const stored = new Map<string, number>();
  const walks = noSamples();
  const warm: Warm = { cold: noSamples(), warm: noSamples() };
  let sizes: Sizes | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const order = turned(["gantry", ...peers.map(({ name }) => name)], round);
    for (const name of order) {
      const place = join(folder, "place");
      mkdirSync(place);
      const peer = peers.find((each) => each.name === name);
      const into = times.get(name)!;
      if (peer) stored.set(name, trialOf(peer, place, root, into));
      else sizes = await trialOfGantry(place, root, into, walks, warm);
      rmSync(place, { recursive: true });
    }
  }
  return [...judge(medium, times, stored, walks, sizes!), ...judgeWarm(medium, warm)];
}

async function trialOfGantry(place: string, root: string, into: Times, walks: Samples, warm: Warm): Promise<Sizes> {
  const { input, stored } = gantryIn(place, root);
  await timed(into.first, () => syncWorkspace(input));
  const { bytes: storedBytes, files: objects } = sizeOf(stored);
  for (let i = 0; i < WALKS; i++) {
    await timed(walks, async () => bareWalk(root));
    await timed(into.unchanged, () => syncWorkspace(input));
  }
  const changedBytes = editTen(root, into.ten.wall.length);
  const { snapshotId, bytesSent } = await timed(into.ten, () => syncWorkspace(input));
  const elsewhere = { ...input, snapshotId, root: join(place, "back"), stateDir: join(place, "state-2") };
  flush(place);
  await timed(into.restore, () => restoreWorkspace(elsewhere));
  equal(root, elsewhere.root);
  await trialOfWarm({ ...input, snapshotId }, place, warm);
  return { storedBytes, objects, sentPerChanged: bytesSent / changedBytes };
}

/** The first session on a base makes it, the second lies on it. Needs root and overlay mounts. */
async function trialOfWarm(input: RestoreInput, place: string, into: Warm): Promise<void> {
  const folder = join(place, "bases");
  if (!canKeepBases(folder)) return;
  const bases = { folder, atMost: 1, inUse: () => new Set<string>() };
  for (const [name, times] of [
    ["one", into.cold],
    ["two", into.warm],
  ] as const) {
    const there = { ...input, bases, root: join(place, name, "workspace"), stateDir: join(place, name, "state") };
    await timed(times, () => restoreWorkspace(there));
    equal(input.root, there.root);
  }
  for (const name of ["one", "two"])
    removeWorkspace({ root: join(place, name, "workspace"), stateDir: join(place, name, "state") });
}

function equal(root: string, other: string): void {
  if (JSON.stringify(describeTree(root)) !== JSON.stringify(describeTree(other)))
    throw new Error("the restored tree is another");
}

function judgeWarm(medium: string, { cold, warm }: Warm): Result[] {
  if (warm.wall.length === 0) return [];
  const how = `a second session on a base that this host has restored, against the first, in the same run; ${cpuOf({ gantry: warm, "the first": cold })}`;
  const value = { unit: "ms", value: median(warm.wall), floor: median(cold.wall), trials: warm.wall.length, how };
  return [judged({ name: `workspace restore on a warm base, ${medium}`, ...value }, { ratioAtMost: 0.1 })];
}

function trialOf(peer: Peer, place: string, root: string, into: Times): number {
  peer.prepare(place);
  const round = into.first.wall.length;
  timedNow(into.first, () => peer.save(root, place, 3 * round));
  const { bytes } = sizeOf(peer.stored(place));
  timedNow(into.unchanged, () => peer.save(root, place, 3 * round + 1));
  editTen(root, 1_000 + round);
  timedNow(into.ten, () => peer.save(root, place, 3 * round + 2));
  flush(place);
  // Ours is on the disk when it answers; the others leave that to whoever wants it.
  timedNow(into.restore, () => {
    peer.restore(place, join(place, "back"), 3 * round + 2);
    flush(place);
  });
  return bytes;
}

function judge(
  medium: string,
  times: ReadonlyMap<string, Times>,
  stored: ReadonlyMap<string, number>,
  walks: Samples,
  sizes: Sizes,
): Result[] {
  const ours = times.get("gantry")!;
  const best = (step: Step, among: readonly string[]): { ms: number; name: string } | undefined =>
    [...times]
      .filter(([name]) => among.includes(name))
      .map(([name, all]) => ({ name, ms: median(all[step].wall) }))
      .sort((a, b) => a.ms - b.ms)[0];
  const all = [...times.keys()].filter((name) => name !== "gantry");
  const others = (step: Step) =>
    all.map((name) => `${name} ${Math.round(median(times.get(name)![step].wall))}`).join(", ");
  const against = (step: Step, title: string, among: readonly string[], ratioAtMost: number): Result => {
    const floor = best(step, among);
    const cpu = cpuOf(Object.fromEntries([...times].map(([name, its]) => [name, its[step]])));
    const how = `median of ${ROUNDS} interleaved rounds; milliseconds of all: ${others(step)}; ${cpu}${floor ? `; against ${floor.name}` : ""}`;
    const measured = {
      name: `workspace ${title}, ${medium}`,
      unit: "ms",
      value: median(ours[step].wall),
      trials: ours[step].wall.length,
      how,
    };
    return floor === undefined ? judged(measured) : judged({ ...measured, floor: floor.ms }, { ratioAtMost });
  };
  const how = "the same run";
  const restic = stored.get("restic");
  return [
    against("first", "first save", ["restic", "borg", "casync"], 1),
    against("unchanged", "nothing changed", ["restic"], 0.25),
    judged(
      {
        name: `workspace nothing changed against walk and lstat, ${medium}`,
        unit: "ms",
        value: median(ours.unchanged.wall),
        floor: median(walks.wall),
        trials: ours.unchanged.wall.length,
        how,
      },
      { ratioAtMost: 1.5 },
    ),
    against("ten", "ten files changed", ["restic"], 0.3),
    against("restore", "cold restore", all, 1.1),
    judged(
      {
        name: `workspace stored, ${medium}`,
        unit: "MB",
        value: sizes.storedBytes / 1e6,
        trials: 1,
        how,
        ...(restic ? { floor: restic / 1e6 } : {}),
      },
      restic ? { ratioAtMost: 1 } : {},
    ),
    judged(
      { name: `workspace objects of a first save, ${medium}`, unit: "objects", value: sizes.objects, trials: 1, how },
      { atMost: 20 },
    ),
    judged(
      {
        name: `workspace bytes sent per byte of ten edited files, ${medium}`,
        unit: "x",
        value: sizes.sentPerChanged,
        trials: 1,
        how,
      },
      { atMost: 3 },
    ),
  ];
}

/** What was stored before is not to be paid for by what is timed next. */
const flush = (place: string): void => {
  execFileSync("sync", ["-f", place]);
};
const noSamples = (): Samples => ({ wall: [], cpu: [] });
const noTimes = (): Times => ({ first: noSamples(), unchanged: noSamples(), ten: noSamples(), restore: noSamples() });
const cpuOf = (all: Record<string, Samples>): string =>
  `CPU milliseconds: ${Object.entries(all)
    .map(([name, { cpu }]) => `${name} ${Math.round(median(cpu))}`)
    .join(", ")}`;
const turned = <T>(list: readonly T[], by: number): T[] => [
  ...list.slice(by % list.length),
  ...list.slice(0, by % list.length),
];

async function timed<T>(into: Samples, work: () => Promise<T>): Promise<T> {
  const [start, before] = [performance.now(), cpuMs()];
  const result = await work();
  into.wall.push(performance.now() - start);
  into.cpu.push(cpuMs() - before);
  return result;
}

function timedNow(into: Samples, work: () => void): void {
  const [start, before] = [performance.now(), cpuMs()];
  work();
  into.wall.push(performance.now() - start);
  into.cpu.push(cpuMs() - before);
}

/** Of this process with all its threads and of the children that have ended; to 10 ms, as the kernel counts (proc(5)). */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ") ?? [];
  return (user + system) / 1_000 + (Number(fields[13]) + Number(fields[14])) * MS_PER_TICK;
}

function sizeOf(folder: string): { files: number; bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    files++;
    bytes += lstatSync(join(entry.parentPath, entry.name)).size;
  }
  return { files, bytes };
}
