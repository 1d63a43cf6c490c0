/** What changed between snapshots, on the whole control plane: a host works and syncs, people look. */
import { chmodSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { DiffAnswer, SnapshotsAnswer } from "#protocol/changes.ts";
import { newId } from "#protocol/ids.ts";
import type { RunStart } from "#protocol/messages.ts";
import { parseManifest, readManifestText } from "../../executor-host/workspace/index-file.ts";
import { StoreError, type SyncInput } from "../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "../executor-host/workspace/fixture.ts";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { newSession, Page } from "../support/live-session.ts";
import { ScriptedHost, type ScriptedLink } from "../support/scripted-host.ts";

let plane: TestControlPlane;
let at: Fixture;
let sessionId: string;
let input: SyncInput;
/** The snapshots in order: before any run's work, after the first run (twice), after the second. */
const ids: string[] = [];
const runs: string[] = [];

beforeAll(async () => {
  plane = await startTestControlPlane();
  const host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "");
  sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "first" } });
  const { assignment, data } = await host.takeAssignment();
  at = fixture();
  const store = { url: new URL(assignment.storeUrl, plane.url).href, token: () => host.token, epoch: assignment.epoch };
  input = { ...at.input, sessionId, store };
  const sync = async () => {
    const { snapshotId } = await syncWorkspace(input, fakeTools());
    ids.push(snapshotId);
    await page.until("the snapshot", (view) => view.workspace.snapshotId === snapshotId);
  };

  at.write("src/main.ts", Array.from({ length: 30 }, (_, i) => `const v${i} = ${i};\n`).join(""));
  at.write("moved.txt", "stays the same\n");
  at.write("run.sh", "echo\n");
  at.write("gone.txt", "one\ntwo\n");
  at.write("picture.bin", noise(2_000, 1));
  at.write("log.txt", "line\n".repeat(100_000));
  await sync();

  runs.push(await begin(data));
  at.write("src/main.ts", Array.from({ length: 30 }, (_, i) => `const v${i} = ${i === 4 ? 40 : i};\n`).join(""));
  await sync();
  renameSync(join(at.root, "moved.txt"), join(at.root, "src/moved.txt"));
  chmodSync(join(at.root, "run.sh"), 0o755);
  rmSync(join(at.root, "gone.txt"));
  at.write("picture.bin", noise(2_000, 2));
  at.write("log.txt", "line\n".repeat(100_001));
  at.write("docs/read me.md", "# Hello\n");
  symlinkSync("main.ts", join(at.root, "src/link"));
  at.write(".gantry/claude/history.jsonl", "{}");
  await sync();
  await end(data, runs[0]!);

  await page.ask({ type: "prompt", prompt: { text: "second" } });
  runs.push(await begin(data));
  at.write("docs/read me.md", "# Hello\n\nagain");
  await sync();
  await end(data, runs[1]!);
});
afterAll(async () => {
  at.dispose();
  await plane.dispose();
});

async function begin(data: ScriptedLink): Promise<string> {
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  data.send({ type: "run.accepted", runId: run.runId });
  data.send({ type: "worker.status", state: "active" });
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  return run.runId;
}

async function end(data: ScriptedLink, runId: string): Promise<void> {
  const events = [{ type: "run.finished" as const, data: { outcome: "succeeded" as const } }];
  await data.acknowledged(data.send({ type: "run.events", runId, events }));
}

const ask = (route: "snapshots" | "diff", params: Record<string, string> = {}) =>
  plane.call(`/api/files/${route}?${new URLSearchParams({ sessionId, ...params })}`);
const diff = async (params: Record<string, string>) => (await (await ask("diff", params)).json()) as DiffAnswer;
const list = async (params: Record<string, string> = {}) =>
  (await (await ask("snapshots", params)).json()) as SnapshotsAnswer;
const byPath = ({ changes }: DiffAnswer) => Object.fromEntries(changes.map((change) => [change.path, change]));

describe("[R-4.6] a session's snapshots", () => {
  // The index may lag by a moment.
  beforeEach(() => vi.waitUntil(async () => (await list()).snapshots.length === ids.length));

  test("newest first, with the run that each followed", async () => {
    const { snapshots, nextBefore } = await list();
    expect(snapshots.map(({ id }) => id)).toEqual(ids.toReversed());
    expect(snapshots.map(({ runId }) => runId)).toEqual([runs[1], runs[0], runs[0], undefined]);
    expect(snapshots[0]).toMatchObject({ files: 6, seq: expect.any(Number), createdAt: expect.any(Number) });
    expect(nextBefore).toBeUndefined();
  });

  test("page by page", async () => {
    const first = await list({ limit: "3" });
    const second = await list({ limit: "3", before: String(first.nextBefore) });
    expect([...first.snapshots, ...second.snapshots].map(({ id }) => id)).toEqual(ids.toReversed());
  });
});

describe("[R-4.6] what changed", () => {
  test("in one step: the lines, with their numbers", async () => {
    const { changes, counts } = await diff({ from: ids[0]!, to: ids[1]! });
    expect(counts).toEqual({ added: 0, removed: 0, modified: 1, renamed: 0, mode: 0 });
    expect(changes).toMatchObject([
      { path: "src/main.ts", change: "modified", kind: "file", text: { state: "lines", added: 1, removed: 1 } },
    ]);
    const text = changes[0]?.text;
    expect(text?.state === "lines" ? text.hunks : undefined).toEqual([
      {
        oldStart: 2,
        oldLines: 7,
        newStart: 2,
        newLines: 7,
        lines: [1, 2, 3, -4, 40, 5, 6, 7].map((n) => {
          if (n === -4) return "-const v4 = 4;";
          return n === 40 ? "+const v4 = 40;" : ` const v${n} = ${n};`;
        }),
      },
    ]);
  });

  test("over a whole run: every kind of change", async () => {
    const answer = await diff({ from: ids[0]!, to: ids[2]! });
    expect(answer.counts).toEqual({ added: 2, removed: 1, modified: 3, renamed: 1, mode: 1 });
    expect(answer.truncated).toBe(false);
    expect(byPath(answer)).toMatchObject({
      "docs/read me.md": { change: "added", sizeAfter: 8, text: { state: "lines", added: 1, removed: 0 } },
      "gone.txt": { change: "removed", sizeBefore: 8, text: { state: "lines", removed: 2 } },
      "log.txt": { change: "modified", text: { state: "too_large" } },
      "picture.bin": { change: "modified", sizeBefore: 2_000, sizeAfter: 2_000, text: { state: "binary" } },
      "run.sh": { change: "mode", modeBefore: 0o644, modeAfter: 0o755 },
      "src/link": { change: "added", kind: "link", targetAfter: "main.ts" },
      "src/main.ts": { change: "modified" },
      "src/moved.txt": { change: "renamed", oldPath: "moved.txt" },
    });
  });

  test("one file alone has more room, by its old name too", async () => {
    const large = await diff({ from: ids[0]!, to: ids[2]!, path: "log.txt" });
    expect(large.changes).toMatchObject([{ path: "log.txt", text: { state: "lines", added: 1, removed: 0 } }]);
    expect((await diff({ from: ids[0]!, path: "moved.txt" })).changes).toMatchObject([{ change: "renamed" }]);
    expect((await diff({ from: ids[0]!, path: "nowhere" })).changes).toEqual([]);
  });

  test("from nothing to the newest, back in time, and without lines", async () => {
    const all = await diff({ text: "0" });
    expect(all).toMatchObject({ to: ids[3], counts: { added: 7, removed: 0 } });
    expect(all).not.toHaveProperty("from");
    expect(all.changes.filter(({ text }) => text)).toEqual([]);
    expect((await diff({ from: ids[3]!, to: ids[2]! })).changes).toMatchObject([
      { path: "docs/read me.md", text: { state: "lines", added: 0, removed: 2 } },
    ]);
    expect((await diff({ from: ids[1]!, to: ids[1]! })).changes).toEqual([]);
  });

  test("in the agents' folder, only on request", async () => {
    expect(byPath(await diff({ from: ids[0]!, hidden: "1" }))).toHaveProperty([".gantry/claude/history.jsonl"]);
    expect(byPath(await diff({ from: ids[0]! }))).not.toHaveProperty([".gantry/claude/history.jsonl"]);
  });

  test("and each look is on record", async () => {
    const rows = JSON.stringify(await (await plane.call("/api/audit?limit=100")).json());
    expect(rows).toContain(`${sessionId}:/log.txt (${ids[0]?.slice(0, 12)}..${ids[2]?.slice(0, 12)})`);
    expect(rows).toContain(`${sessionId}:snapshots`);
  });
});

describe("refused", () => {
  test.each([
    ["diff", { from: "x" }, 400, "malformed"],
    ["diff", { to: "../../x" }, 400, "malformed"],
    ["diff", { path: "/etc/passwd" }, 400, "malformed"],
    ["diff", { path: "a/../b" }, 400, "malformed"],
    ["diff", { text: "2" }, 400, "malformed"],
    ["diff", { sessionId: "ses_x" }, 400, "malformed"],
    ["diff", { from: "0".repeat(64) }, 404, "snapshot_not_found"],
    ["diff", { sessionId: newId("ses") }, 404, "not_found"],
    ["snapshots", { sessionId: newId("ses") }, 404, "not_found"],
    ["snapshots", { limit: "0" }, 400, "malformed"],
    ["snapshots", { before: "x" }, 400, "malformed"],
  ] as const)("%s %j", async (route, params, status, reason) => {
    const response = await ask(route, params);
    expect([response.status, ((await response.json()) as { reason: string }).reason]).toEqual([status, reason]);
  });

  test("before anything was saved there is nothing to compare", async () => {
    const fresh = await newSession(plane);
    expect((await ask("diff", { sessionId: fresh })).status).toBe(404);
    expect(await (await ask("snapshots", { sessionId: fresh })).json()).toEqual({ snapshots: [] });
  });
});

test("[P-snap-2] [P-snap-3] one flipped bit in any object on the disk below R2 is never restored", async () => {
  const objects = objectsOnDisk(plane.stateDir);
  expect(objects.length).toBeGreaterThan(2 * ids.length - 1);
  const newest = ids.at(-1)!;
  let noticed = 0;
  for (const [i, path] of objects.entries()) {
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad[Math.floor((i * good.length) / objects.length)]! ^= 1 << (i % 8);
    writeFileSync(path, bad);
    const there = { ...input, ...at.elsewhere(newest), store: input.store, sessionId };
    const end = await restoreWorkspace(there, fakeTools()).then(
      () => describeTree(there.root),
      (error) => error,
    );
    if (end instanceof StoreError) noticed++;
    // An object of an earlier snapshot alone.
    else expect(end).toEqual(describeTree(at.root));
    writeFileSync(path, good);
  }
  const whole = { ...input, ...at.elsewhere(newest), store: input.store, sessionId };
  await restoreWorkspace(whole, fakeTools());
  const { packs } = parseManifest(readManifestText(whole.stateDir, newest)!);
  expect(noticed).toBe(1 + packs.length);
});

/** The files in which the local R2 keeps its objects. */
function objectsOnDisk(stateDir: string): string[] {
  return readdirSync(stateDir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.parentPath.endsWith("/blobs"))
    .map((entry) => join(entry.parentPath, entry.name));
}
