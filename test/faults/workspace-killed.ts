/** SIGKILL of the process that syncs or restores, before each call that changes the file system and at each request. */
import { chownSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { performance } from "node:perf_hooks";
import type { RestoreInput } from "../../executor-host/workspace/port.ts";
import { removeTree } from "../../executor-host/workspace/remove-tree.ts";
import { describeTree, type Fixture, fixture } from "../executor-host/workspace/fixture.ts";
import type { Random } from "../fuzz/random.ts";
import type { Fault, Form, Trial } from "./fault.ts";
import { dangling, describeSnapshot, differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";
import { EngineProcess, MOMENTS, type Moment, StoreServer, type Work } from "./workspace-engine.ts";
import { changeVaried, giveTo, makeVaried } from "./workspace-varied.ts";

/** What is done when it is killed: a restore that takes over what it can, one that writes all, a sync; and at which request of a sync. */
const KINDS = ["take-over", "write-all", "sync", "request"] as const;
type Kind = (typeof KINDS)[number];
/** What a sync with edits asks: what is missing, a pack, the commit. */
const REQUESTS = 3;
/** In the long form as many trials of a kind share its calls. */
const SHARES = 16;
const SHORT_SPREAD = 2;
const NOBODY = 65_534;

export const workspaceKilled: Fault = {
  name: "workspace-killed",
  how: `SIGKILL of a real process that restores or syncs, before every call that changes the file system in any of its threads and in the middle of every write (${SHARES} trials of a kind together, in the short form a spread of calls), and of one that syncs at each of its requests (before the store did it, after it, after the answer): the tree is the old one or the new one, a sync's own tree is never touched, no snapshot points to what is not there, the next process does it and nothing is left beside it; recovery is that process`,
  trials: { long: KINDS.length * SHARES, short: KINDS.length },
  note: (figures) => `${figures.reduce((sum, { kills = 0 }) => sum + kills, 0)} kills`,
  async open(form) {
    return {
      trial: (random, index) => killed(KINDS[index % KINDS.length]!, random, pointsOf(form, index)),
      async dispose() {},
    };
  },
};

/** Out of the calls that the work makes when nobody kills it, those before which it is killed, counted from 1. */
export type Points = (calls: readonly string[], random: Random) => number[];

function pointsOf(form: Form, index: number): Points {
  const share = Math.floor(index / KINDS.length) % SHARES;
  if (form === "long") return (calls) => calls.flatMap((_, i) => (i % SHARES === share ? [i + 1] : []));
  return (calls, random) => [
    ...Array.from(
      { length: SHORT_SPREAD },
      (_, i) => random.int(1, calls.length / SHORT_SPREAD) + i * Math.floor(calls.length / SHORT_SPREAD),
    ),
    // The last ones are those of the swap.
    ...callsOf("renameSync")(calls).slice(-2),
  ];
}

/** Those of one name. */
export function callsOf(name: string): (calls: readonly string[]) => number[] {
  return (calls) => calls.flatMap((each, i) => (each === name ? [i + 1] : []));
}

/** Kills work of `kind` at each of `points`, and has each followed by a process that does it. */
export async function killed(kind: Kind, random: Random, points: Points, plant?: string): Promise<Trial> {
  const stage = await Stage.open(random, kind, plant);
  try {
    await (kind === "sync"
      ? stage.syncs(points)
      : kind === "request"
        ? stage.requests(points)
        : stage.restores(points));
    const recovery = stage.kills === 0 ? {} : { recoveryMs: stage.recoveryMs };
    return { violations: stage.violations, ...recovery, figures: { kills: stage.kills } };
  } finally {
    await stage.dispose();
  }
}

class Stage {
  readonly violations: string[] = [];
  /** The longest. */
  recoveryMs = 0;
  kills = 0;
  readonly #random: Random;
  readonly #kind: Kind;
  readonly #at: Fixture;
  readonly #store: StoreServer;
  readonly #start: () => EngineProcess;
  /** The process that is killed next: the one that has done what the last one left. */
  #engine: EngineProcess;

  private constructor(random: Random, kind: Kind, at: Fixture, store: StoreServer, start: () => EngineProcess) {
    this.#random = random;
    this.#kind = kind;
    this.#at = at;
    this.#store = store;
    this.#start = start;
    this.#engine = start();
  }

  static async open(random: Random, kind: Kind, plant: string | undefined): Promise<Stage> {
    // A kill loses nothing that is in memory only, so the faster file system serves.
    const at = fixture(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
    const store = new StoreServer(at.peer);
    const storeUrl = await store.open();
    // Root may do what modes forbid: where it can be somebody else, the engine is. As root it gives away what it writes.
    const uid = process.getuid?.() === 0 && kind !== "write-all" ? NOBODY : undefined;
    if (uid !== undefined) for (const path of [at.folder, at.root]) chownSync(path, uid, uid);
    return new Stage(random, kind, at, store, () => new EngineProcess({ storeUrl, uid, plant }));
  }

  async restores(points: Points): Promise<void> {
    const random = this.#random;
    const { root } = this.#at;
    makeVaried(root);
    this.#own(root);
    const older = await this.#snapshot();
    changeVaried(root);
    this.#own(root);
    const newer = await this.#snapshot();
    const owner = process.getuid?.() === 0 && this.#kind === "write-all" ? { owner: { uid: NOBODY, gid: NOBODY } } : {};
    const there = { ...this.#at.elsewhere(newer.id), ...owner };
    if (process.getuid?.() === 0) {
      mkdirSync(dirname(there.root));
      this.#own(dirname(there.root));
    }
    const before: Work = { verb: "restore", input: { ...there, snapshotId: older.id } };
    const work: Work = { verb: "restore", input: there };

    const begin = async () => {
      await this.#engine.run(before);
      // Settles what the engine knows of files that it wrote a moment ago, so that the next restore takes them over.
      if (this.#kind === "take-over") await this.#engine.run({ verb: "sync", input: there });
      else rmSync(there.stateDir, { recursive: true });
      writeFileSync(join(there.root, "draft"), "not saved yet");
      return describeTree(there.root);
    };
    await begin();
    const unharmed = await this.#engine.run(work);
    for (const point of points(unharmed?.calls ?? [], random)) {
      const old = await begin();
      if ((await this.#engine.run(work, point)) !== undefined) continue;
      this.kills++;
      const what = `${this.#kind} killed at ${point} (${unharmed?.calls[point - 1]})`;
      const is = this.#oldOrNew(what, there, old, newer.tree);
      await this.#recovered(async () => {
        if (random.chance(0.5)) await this.#saves(`${what}, sync`, there, is === "old" ? old : newer.tree);
        await this.#engine.run(work);
      });
      this.#differ(`${what}, the next try`, describeTree(there.root), newer.tree);
      this.#nothingBeside(what, there);
    }
  }

  async syncs(points: Points): Promise<void> {
    const { root, input } = this.#at;
    makeVaried(root);
    this.#own(root);
    await this.#snapshot();
    const change = () => {
      edit(this.#random, root, 5);
      this.#own(root);
    };
    change();
    const unharmed = await this.#engine.run({ verb: "sync", input });
    for (const point of points(unharmed?.calls ?? [], this.#random)) {
      change();
      await this.#killedSync(`sync killed at ${point} (${unharmed?.calls[point - 1]})`, () =>
        this.#engine.run({ verb: "sync", input }, point),
      );
    }
  }

  async requests(points: Points): Promise<void> {
    const { root, input } = this.#at;
    makeVaried(root);
    this.#own(root);
    await this.#snapshot();
    const all = MOMENTS.flatMap((moment) => Array.from({ length: REQUESTS }, (_, n) => ({ n, moment })));
    const random = this.#random;
    for (const point of points(
      all.map(({ moment }) => moment),
      random,
    )) {
      const { n, moment } = all[point - 1]!;
      writeFileSync(join(root, "edited"), `${n} ${moment} ${random.next()}`);
      this.#own(root);
      this.#killAt(n, moment);
      await this.#killedSync(`sync killed with request ${n} ${moment}`, () =>
        this.#engine.run({ verb: "sync", input }),
      );
    }
  }

  #killAt(request: number, moment: Moment): void {
    let seen = 0;
    this.#store.onRequest = (each) => {
      if (each === moment && seen++ === request) this.#engine.kill();
    };
  }

  /** The tree stays as it is, and the next process saves it. */
  async #killedSync(what: string, run: () => Promise<unknown>): Promise<void> {
    const wanted = describeTree(this.#at.root);
    const end = await run();
    this.#store.onRequest = undefined;
    // After the last answer it may be faster than the signal.
    if (end === undefined) this.kills++;
    else await this.#engine.end();
    this.#differ(`${what}, the workspace itself`, describeTree(this.#at.root), wanted);
    this.violations.push(...dangling(this.#at.peer.store));
    await this.#recovered(() => this.#saves(what, this.#at.input, wanted));
    this.#stateIsClean(what, this.#at.stateDir);
  }

  /** The next process. */
  async #recovered(work: () => Promise<void>): Promise<void> {
    const began = performance.now();
    this.#engine = this.#start();
    await work();
    this.recoveryMs = Math.max(this.recoveryMs, performance.now() - began);
    this.violations.push(...dangling(this.#at.peer.store));
  }

  /** Syncs: `wanted` is what is there and what is saved. */
  async #saves(what: string, input: Work["input"], wanted: readonly string[]): Promise<void> {
    const { snapshotId } = (await this.#engine.run({ verb: "sync", input }))!.result;
    this.#differ(`${what}, the workspace`, describeTree(input.root), wanted);
    this.#differ(`${what}, what was saved`, describeSnapshot(this.#at.peer.store, snapshotId), wanted);
  }

  async #snapshot(): Promise<{ id: string; tree: string[] }> {
    const { root, input } = this.#at;
    const { snapshotId } = (await this.#engine.run({ verb: "sync", input }))!.result;
    return { id: snapshotId, tree: describeTree(root) };
  }

  /** What it was left as, for whoever comes next to carry to its end. */
  #oldOrNew(what: string, place: RestoreInput, old: readonly string[], wanted: readonly string[]): "old" | "new" {
    const journaled = existsSync(join(place.stateDir, "restore.json"));
    if (lstatSync(place.root, { throwIfNoEntry: false }) === undefined) {
      if (!journaled) this.violations.push(`${what}: there is no workspace and nothing says why`);
      return "new";
    }
    const found = describeTree(place.root);
    if (differences("", found, wanted).length === 0) return "new";
    this.#differ(what, found, old);
    return journaled ? "new" : "old";
  }

  #nothingBeside(what: string, { root, stateDir }: RestoreInput): void {
    const beside = readdirSync(dirname(root)).sort().join(" ");
    if (beside !== "state workspace") this.violations.push(`${what} left ${beside}`);
    this.#stateIsClean(what, stateDir);
  }

  #stateIsClean(what: string, stateDir: string): void {
    const kept = readdirSync(stateDir).sort((a, b) => a.length - b.length);
    const isClean = /^current\.json ([0-9a-f]{64})\.index \1\.manifest$/.test(kept.join(" "));
    if (!isClean) this.violations.push(`${what} left ${kept.join(" ")}`);
  }

  #differ(what: string, got: readonly string[], wanted: readonly string[]): void {
    this.violations.push(...differences(what, got, wanted));
  }

  /** Gives the tree to whoever the engine runs as. */
  #own(path: string): void {
    if (process.getuid?.() === 0) giveTo(NOBODY, path);
  }

  async dispose(): Promise<void> {
    await this.#engine.end();
    this.#store.close();
    removeTree(this.#at.folder);
  }
}
