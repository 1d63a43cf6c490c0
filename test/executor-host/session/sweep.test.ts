/** What a host sweeps away, and above all what it does not. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Assignment } from "#protocol/messages.ts";
import { sessionPaths, statePaths } from "../../../executor-host/config.ts";
import type { WorkerSpec } from "../../../executor-host/container/port.ts";
import { Database } from "../../../executor-host/database.ts";
import { silentLogger } from "../../../executor-host/logs.ts";
import { watchIdle } from "../../../executor-host/session/idle-watch.ts";
import { createSessionTables, Records } from "../../../executor-host/session/records.ts";
import { KEPT_WARM_MS, type SweepNeeds, sweepHost } from "../../../executor-host/session/sweep.ts";
import { Turns } from "../../../executor-host/session/turns.ts";
import { HeldClock } from "../../support/held-clock.ts";
import { ScriptedEngine } from "../../support/scripted-engine.ts";

const ses = (letter: string) => `ses_${letter.repeat(20)}`;
const SNAPSHOT = "a".repeat(64);

let stateDir: string;
let engine: ScriptedEngine;
let records: Records;
let needs: SweepNeeds;
let busy: Set<string>;
/** What the pool is told of files that are gone. */
let removed: { sessionId: string; epoch: number }[];

beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "gs-"));
  engine = new ScriptedEngine();
  const database = new Database(":memory:");
  createSessionTables(database);
  records = new Records(database);
  busy = new Set();
  removed = [];
  needs = {
    host: {
      identity: { hostId: "hst_1", installationId: "installation-1" } as SweepNeeds["host"]["identity"],
      records,
      paths: statePaths(stateDir),
      clock: { now: () => Date.now(), after: () => () => undefined },
      logger: silentLogger,
      workspaceTurns: new Turns(),
    },
    engines: [engine],
    transaction: (work) => database.transaction(work),
    removed: (workspace) => void removed.push(workspace),
    busy: (sessionId) => busy.has(sessionId),
  };
});
afterEach(() => {
  engine.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

async function container(sessionId: string, epoch = 1): Promise<void> {
  const runDir = join(stateDir, "r", sessionId.slice(-1));
  mkdirSync(runDir, { recursive: true });
  await engine.start({ sessionId, epoch, runDir } as WorkerSpec);
}
const lease = (sessionId: string) => records.hold({ sessionId, epoch: 1, vmMode: "process" } as Assignment);
const saved = (sessionId: string, dirty = false) =>
  records.setWorkspace(sessionId, { snapshotId: SNAPSHOT, epoch: 1, dirty });
const left = async () => (await engine.find()).map((worker) => worker.sessionId).sort();
const findings = async (reconciler: string) =>
  (await sweepHost(needs)).find((report) => report.reconciler === reconciler)?.findings ?? [];

describe("containers", () => {
  test("goes: one without a lease whose workspace is saved; stays: leased, busy, unsaved and unknown ones", async () => {
    for (const letter of ["a", "b", "c", "d", "e"]) await container(ses(letter));
    saved(ses("a"));
    lease(ses("b"));
    saved(ses("b"));
    saved(ses("c"), true);
    saved(ses("d"));
    busy.add(ses("d"));
    // "e": this host has no record of it.
    const found = await findings("containers");
    expect(await left()).toEqual([ses("b"), ses("c"), ses("d"), ses("e")]);
    expect(found.map(({ sessionId, mended, detail }) => [sessionId, mended, detail])).toEqual([
      [ses("a"), true, undefined],
      [ses("c"), false, "its workspace is not saved"],
      [ses("e"), false, "this host knows nothing of its workspace"],
    ]);
  });

  test("an engine that is away is a failure of its own, and the other engines are swept", async () => {
    const away = new ScriptedEngine();
    away.reap = async () => {
      throw new Error("no engine here");
    };
    await container(ses("a"));
    saved(ses("a"));
    const reports = await sweepHost({ ...needs, engines: [away, engine] });
    const containers = reports.find((report) => report.reconciler === "containers");
    expect(containers?.failures).toEqual([expect.stringContaining("no engine here")]);
    expect(await left()).toEqual([]);
  });
});

describe("workers that were stopped long ago", () => {
  function folder(sessionId: string, ageMs: number): ReturnType<typeof sessionPaths> {
    const paths = sessionPaths(needs.host.paths, sessionId);
    mkdirSync(paths.workspace, { recursive: true });
    mkdirSync(paths.sync, { recursive: true });
    writeFileSync(join(paths.workspace, "work.txt"), "work");
    const at = (Date.now() - ageMs) / 1_000;
    utimesSync(paths.sync, at, at);
    return paths;
  }
  const OLD = KEPT_WARM_MS + 60_000;

  test("goes: saved and old; stays: young, unsaved, leased and unknown, and what was set aside", async () => {
    const old = folder(ses("a"), OLD);
    mkdirSync(old.kept);
    const young = folder(ses("b"), OLD - 120_000);
    const dirty = folder(ses("c"), OLD);
    const leased = folder(ses("d"), OLD);
    const unknown = folder(ses("e"), OLD);
    for (const letter of ["a", "b", "d"]) saved(ses(letter));
    saved(ses("c"), true);
    lease(ses("d"));
    const found = await findings("workers");
    expect(found.map(({ sessionId, what }) => [sessionId, what])).toEqual([[ses("a"), "workspace_long_unused"]]);
    expect([old.workspace, old.sync].map((path) => existsSync(path))).toEqual([false, false]);
    expect(existsSync(old.kept)).toBe(true);
    expect(records.workspace(ses("a"))).toBeUndefined();
    for (const { workspace } of [young, dirty, leased, unknown]) expect(existsSync(workspace)).toBe(true);
    expect(await findings("workers")).toEqual([]);
  });

  test("[P-43] the pool is told of each, once, under the lease that stopped its worker", async () => {
    const stop = (sessionId: string, epoch: number) => {
      records.hold({ sessionId, epoch, vmMode: "process" } as Assignment);
      records.markStopped(sessionId);
      records.forget(sessionId);
    };
    for (const letter of ["a", "b", "c"]) folder(ses(letter), letter === "c" ? 0 : OLD);
    for (const letter of ["a", "b", "c"]) saved(ses(letter));
    // Its files are from lease 1; lease 4 came and went without a run. "b" was stopped by a daemon that kept no record.
    stop(ses("a"), 4);
    stop(ses("c"), 2);
    await sweepHost(needs);
    await sweepHost(needs);
    expect(removed).toEqual([
      { sessionId: ses("a"), epoch: 4 },
      { sessionId: ses("b"), epoch: 1 },
    ]);
  });

  test("[P-43] files that the record was not given up for stay, and nothing is said", async () => {
    const { workspace } = folder(ses("a"), OLD);
    saved(ses("a"));
    needs.removed = () => {
      throw new Error("the disk is full");
    };
    expect((await sweepHost(needs))[0]?.failures).toEqual([expect.stringContaining("the disk is full")]);
    expect(existsSync(workspace)).toBe(true);
    expect(records.workspace(ses("a"))).toBeDefined();
  });
});

describe("the pool's idle time (R-1.9)", () => {
  test("a worker without runs is stopped after it; a change reaches one that is idle already", () => {
    const clock = new HeldClock();
    let idleStopMs: number | undefined;
    const sessions = [
      { sessionId: ses("a"), epoch: 1, link: "live", worker: true, runs: [] as string[] },
      { sessionId: ses("b"), epoch: 1, link: "live", worker: true, runs: ["run_1"] },
      { sessionId: ses("c"), epoch: 1, link: "live", worker: false, runs: [] as string[] },
    ];
    const stopped: string[] = [];
    const end = watchIdle({
      clock,
      sessions: { describe: () => sessions, requestStop: (sessionId) => void stopped.push(sessionId) },
      idleStopMs: () => idleStopMs,
    });
    const pass = (ms: number) => {
      for (let passed = 0; passed < ms; passed += 5_000) clock.advance(5_000);
    };
    pass(60_000);
    expect(stopped).toEqual([]);
    idleStopMs = 70_000;
    pass(10_000);
    expect(stopped).toEqual([]);
    pass(10_000);
    expect(new Set(stopped)).toEqual(new Set([ses("a")]));
    end();
    expect(clock.pending()).toEqual([]);
  });
});
