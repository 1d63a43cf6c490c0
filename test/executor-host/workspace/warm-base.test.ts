/** A new workspace on a base that the host has: no file is made, nothing is fetched, and all else is as with a tree of its own. */
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseManifest, readLast, readManifestText } from "../../../executor-host/workspace/index-file.ts";
import { lowerOf, moveWorkspace, readLayer, removeWorkspace, upperOf } from "../../../executor-host/workspace/layer.ts";
import { overlayWorks, unmount, upperAt } from "../../../executor-host/workspace/overlay.ts";
import type { Bases, RestoreInput } from "../../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { type BuildInput, buildSnapshot } from "../../../executor-host/workspace/snapshot-builder.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

let at: Fixture;
let bases: Bases;
let snapshotId: string;
let wanted: string[];
let mounts: string[];
let used: Set<string>;

beforeEach(async (context) => {
  at = fixture();
  mounts = [];
  used = new Set();
  const folder = join(at.folder, "bases");
  if (!overlayWorks(folder)) return context.skip("needs root and overlay mounts");
  bases = { folder, atMost: 1, inUse: () => used };
  at.write("top.txt", "top");
  at.write("lib/a/index.js", "a");
  at.write("lib/b/index.js", "b");
  at.write("lib/b/deep/x.js", "x", 0o755);
  at.write("big.bin", noise(1_500_000, 3));
  mkdirSync(join(at.root, "empty"));
  symlinkSync("top.txt", join(at.root, "link"));
  ({ snapshotId } = await syncWorkspace(at.input));
  wanted = describeTree(at.root);
});
afterEach(() => {
  for (const root of mounts) unmount(root);
  at.dispose();
});

function place(): RestoreInput {
  const there = { ...at.elsewhere(snapshotId), bases };
  mounts.push(there.root);
  return there;
}

/** What the engine remembers of the last sync or restore. */
function lastOf(stateDir: string): NonNullable<BuildInput["last"]> {
  const last = readLast(stateDir)!;
  return { ...last, manifest: parseManifest(readManifestText(stateDir, last.snapshotId)!) };
}

test("[R-4.2] the second session on a base fetches nothing and makes no file", async () => {
  const first = place();
  expect((await restoreWorkspace(first)).bytesFetched).toBeGreaterThan(0);
  expect(describeTree(first.root)).toEqual(wanted);
  at.peer.calls.length = 0;
  const second = place();
  expect(await restoreWorkspace(second)).toMatchObject({ bytesFetched: 0, files: 5 });
  expect(at.peer.calls).toEqual([]);
  expect(describeTree(second.root)).toEqual(wanted);
  const layer = readLayer(second.stateDir);
  expect(layer && readdirSync(upperOf(second.root, layer))).toEqual([]);
  expect(await syncWorkspace(second)).toMatchObject({ changed: false, snapshotId, bytesSent: 0 });
});

test("[R-4.2] another snapshot of the same tree, a fork's say, lies on the same base and is itself", async () => {
  const first = place();
  await restoreWorkspace(first);
  const fork = { ...at.input, stateDir: join(at.folder, "fork") };
  ({ snapshotId } = await syncWorkspace(fork));
  expect(snapshotId).not.toBe(first.snapshotId);
  for (const bytes of ["its manifest", "nothing"]) {
    at.peer.calls.length = 0;
    const there = place();
    const { bytesFetched } = await restoreWorkspace(there);
    expect(at.peer.calls.map(({ path }) => path)).toEqual(bytes === "nothing" ? [] : [`/snapshots/${snapshotId}`]);
    expect(bytesFetched === 0).toBe(bytes === "nothing");
    expect(readLayer(there.stateDir)?.base).toBe(readLayer(first.stateDir)?.base);
    expect(describeTree(there.root)).toEqual(wanted);
    expect(await syncWorkspace(there)).toMatchObject({ changed: false, snapshotId, bytesSent: 0 });
  }
  expect(readdirSync(bases.folder)).toHaveLength(1);
});

test("[P-snap-1] everything that can happen to a base's files is in the next snapshot, and the base stays as it was", async () => {
  const there = place();
  await restoreWorkspace(there);
  const edits: (() => void)[] = [
    () => appendFileSync(join(there.root, "top.txt"), " edited"),
    () => unlinkSync(join(there.root, "lib/a/index.js")),
    () => rmSync(join(there.root, "lib/a"), { recursive: true }),
    () => writeFileSync(join(there.root, "lib/b/deep/new.js"), "new"),
    () => chmodSync(join(there.root, "lib/b/index.js"), 0o600),
    () => renameSync(join(there.root, "lib/b"), join(there.root, "lib/c")),
    // A folder that was removed and made again hides what the base has of it.
    () => mkdirSync(join(there.root, "lib/b")),
    () => rmSync(join(there.root, "empty"), { recursive: true }),
    // Another folder of the base under the name of one that is gone.
    () => renameSync(join(there.root, "lib"), join(there.root, "empty")),
    () => rmSync(join(there.root, "link")),
    () => mkdirSync(join(there.root, "link")),
    () => writeFileSync(join(there.root, "link/file"), "in a folder that was a link"),
  ];
  const layer = readLayer(there.stateDir)!;
  const over = { upper: upperOf(there.root, layer), lower: lowerOf(layer) };
  const build = (input: Partial<BuildInput>) =>
    buildSnapshot({ root: there.root, sessionId: "ses_1", now: Date.now, emit: async () => {}, ...input });
  let last = lastOf(there.stateDir);
  for (const edit of edits) {
    edit();
    const built = await build({ over, last });
    const whole = await build({});
    if (!built.changed || !whole.changed) throw new Error("an edit was not seen");
    expect(built.manifest.entries).toEqual(whole.manifest.entries);
    expect(built.manifest.omitted).toEqual([]);
    last = built;
  }
  const saved = await syncWorkspace(there);
  const elsewhere = at.elsewhere(saved.snapshotId);
  await restoreWorkspace(elsewhere);
  expect(describeTree(elsewhere.root)).toEqual(describeTree(there.root));
  const another = place();
  await restoreWorkspace(another);
  expect(describeTree(another.root)).toEqual(wanted);
});

test("[R-3.4] after a restart of the machine the layer is mounted again before anything is saved", async () => {
  const there = place();
  await restoreWorkspace(there);
  writeFileSync(join(there.root, "new.txt"), "new");
  const before = describeTree(there.root);
  unmount(there.root);
  expect(readdirSync(there.root)).toEqual([]);
  const { snapshotId: saved, files } = await syncWorkspace(there);
  expect(files).toBe(6);
  expect(describeTree(there.root)).toEqual(before);
  const elsewhere = at.elsewhere(saved);
  await restoreWorkspace(elsewhere);
  expect(describeTree(elsewhere.root)).toEqual(before);
});

test("[R-3.2] a layer whose base is gone is never taken for an empty workspace", async () => {
  const there = place();
  await restoreWorkspace(there);
  unmount(there.root);
  renameSync(readLayer(there.stateDir)!.base, join(bases.folder, "elsewhere"));
  const commits = at.peer.commits.length;
  await expect(syncWorkspace(there)).rejects.toMatchObject({ reason: "workspace_unusable" });
  expect(at.peer.commits.length).toBe(commits);
});

test.each(["journal", "move-old", "move-new", "current"])(
  "[R-3.4] broken off before %s the workspace is the old one or the new one",
  async (failBefore) => {
    const there = place();
    await restoreWorkspace(there);
    writeFileSync(join(there.root, "old.txt"), "old");
    const { snapshotId: newer } = await syncWorkspace(there);
    const before = describeTree(there.root);
    await expect(restoreWorkspace({ ...there, snapshotId }, { ...fakeTools(), failBefore })).rejects.toThrow("killed");
    unmount(there.root);
    const { snapshotId: saved } = await syncWorkspace(there);
    const isOld = failBefore === "journal";
    expect(saved).toBe(isOld ? newer : snapshotId);
    expect(describeTree(there.root)).toEqual(isOld ? before : wanted);
    await restoreWorkspace({ ...there, snapshotId });
    expect(describeTree(there.root)).toEqual(wanted);
    expect(readdirSync(join(there.root, "..")).filter((name) => name.startsWith(".workspace"))).toHaveLength(1);
  },
);

test("what was set aside lies on its base, and can be looked at again", async () => {
  const there = place();
  await restoreWorkspace(there);
  writeFileSync(join(there.root, "unsaved.txt"), "unsaved");
  const before = describeTree(there.root);
  const kept = { root: join(there.root, "../kept"), stateDir: join(there.root, "../kept.sync") };
  mounts.push(kept.root);
  moveWorkspace(there, kept);
  expect(existsSync(there.root)).toBe(false);
  const { snapshotId: branch } = await syncWorkspace({ ...there, ...kept });
  expect(describeTree(kept.root)).toEqual(before);
  expect(branch).not.toBe(snapshotId);
  removeWorkspace(kept);
  expect(readdirSync(join(there.root, ".."))).toEqual([]);
});

test("bases beyond the bound go, the longest unused first, and never one that is lain on", async () => {
  const first = place();
  await restoreWorkspace(first);
  const made = [readLayer(first.stateDir)!.base];
  used.add(made[0]!);
  for (const text of ["two", "three"]) {
    at.write("top.txt", text);
    ({ snapshotId } = await syncWorkspace(at.input));
    const there = place();
    await restoreWorkspace(there);
    made.push(readLayer(there.stateDir)!.base);
    expect(readFileSync(join(there.root, "top.txt"), "utf8")).toBe(text);
    removeWorkspace(there);
  }
  expect(readdirSync(bases.folder).sort()).toEqual([made[0]!, made[2]!].map((path) => basename(path)).sort());
  expect(describeTree(first.root)).toEqual(wanted);
  expect(upperAt(first.root)).toBeDefined();
});
