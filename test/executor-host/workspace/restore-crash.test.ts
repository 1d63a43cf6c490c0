/** FACTS C2 rows 11 and 24: a restore broken off at any step leaves the old workspace or, once carried on, the new one. */
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { removeWorkspace } from "../../../executor-host/workspace/layer.ts";
import type { RestoreInput } from "../../../executor-host/workspace/port.ts";
import { removeTree } from "../../../executor-host/workspace/remove-tree.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { finishInterruptedRestore } from "../../../executor-host/workspace/restore-swap.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { giveTo } from "../../faults/workspace-varied.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

const NOBODY = 65_534;
const BEFORE_THE_JOURNAL = ["directories", "files", "between-packs", "links", "flush", "modes", "journal"];
const AFTER_THE_JOURNAL = ["move-old", "move-new", "current", "journal-gone", "remove-old"];

let at: Fixture;
let wanted: string[];
let there: RestoreInput;
let old: string[];
let snapshotId: string;

beforeEach(async () => {
  at = fixture();
  at.write("kept.txt", "kept");
  at.write("big.bin", noise(2_500_000, 4));
  at.write("dir/deep/file.txt", "file");
  at.write("read-only/x", "x", 0o444);
  symlinkSync("kept.txt", join(at.root, "link"));
  snapshotId = (await syncWorkspace(at.input)).snapshotId;
  wanted = describeTree(at.root);
  there = at.elsewhere(snapshotId);
  mkdirSync(join(there.root, "old-dir"), { recursive: true });
  writeFileSync(join(there.root, "old.txt"), "old");
  writeFileSync(join(there.root, "old-dir/kept.txt"), "old");
  old = describeTree(there.root);
});
afterEach(() => at.dispose());

const broken = (failBefore: string) =>
  expect(restoreWorkspace(there, { ...fakeTools(), failBefore })).rejects.toThrow(`killed before ${failBefore}`);
const besides = () => readdirSync(dirname(there.root));

/** Root may do what modes forbid: it is somebody else meanwhile, to whom `folder` belongs. */
async function asNobody(folder: string, work: () => Promise<void>): Promise<void> {
  if (process.getuid?.() !== 0) return await work();
  giveTo(NOBODY, folder);
  chmodSync(at.folder, 0o755);
  process.seteuid?.(NOBODY);
  try {
    await work();
  } finally {
    process.seteuid?.(0);
  }
}

describe("killed", () => {
  test.each(BEFORE_THE_JOURNAL)(
    "before %s: the old workspace is untouched, and the next try succeeds",
    async (step) => {
      await broken(step);
      expect(describeTree(there.root)).toEqual(old);
      finishInterruptedRestore(there);
      expect(describeTree(there.root)).toEqual(old);
      await restoreWorkspace(there);
      expect(describeTree(there.root)).toEqual(wanted);
      expect(besides().sort()).toEqual(["state", "workspace"]);
    },
  );

  test.each(AFTER_THE_JOURNAL)("before %s: whoever comes next makes it the new one", async (step) => {
    await broken(step);
    finishInterruptedRestore(there);
    expect(describeTree(there.root)).toEqual(wanted);
    expect(await syncWorkspace(there)).toMatchObject({ changed: false, snapshotId });
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(wanted);
    finishInterruptedRestore(there);
    expect(besides().sort()).toEqual(["state", "workspace"]);
  });

  test.each(AFTER_THE_JOURNAL)("before %s: a sync never takes the half for the whole", async (step) => {
    await broken(step);
    const commits = at.peer.commits.length;
    expect(await syncWorkspace(there)).toMatchObject({ changed: false, snapshotId });
    expect(at.peer.commits.length).toBe(commits);
  });

  test("a restore that goes on fetches only what it lacks", async () => {
    await broken("links");
    at.peer.calls.length = 0;
    expect(await restoreWorkspace(there)).toMatchObject({ bytesFetched: 0 });
    expect(at.peer.calls).toEqual([]);
    expect(describeTree(there.root)).toEqual(wanted);
  });

  test.each(["links", "journal"])("before %s: modes keep nobody from going on, whoever the daemon is", async (step) => {
    mkdirSync(join(at.root, "closed/inner"), { recursive: true });
    for (const folder of ["closed", "closed/inner"]) {
      writeFileSync(join(at.root, folder, "file"), "file");
      symlinkSync("file", join(at.root, folder, "link"));
    }
    chmodSync(join(at.root, "closed/inner"), 0o500);
    chmodSync(join(at.root, "closed"), 0o555);
    snapshotId = (await syncWorkspace(at.input)).snapshotId;
    wanted = describeTree(at.root);
    there = { ...there, snapshotId };
    await asNobody(dirname(there.root), async () => {
      await broken(step);
      expect(describeTree(there.root)).toEqual(old);
      await restoreWorkspace(there);
      expect(describeTree(there.root)).toEqual(wanted);
    });
    expect(besides().sort()).toEqual(["state", "workspace"]);
    removeTree(dirname(there.root));
    removeTree(at.root);
  });

  test("what a broken-off restore wrote is checked again, not trusted", async () => {
    await broken("links");
    const staging = join(dirname(there.root), besides().find((name) => name.includes("restoring"))!);
    writeFileSync(join(staging, "kept.txt"), "KEPT");
    rmSync(join(staging, "dir/deep/file.txt"));
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(wanted);
  });

  test("what another snapshot's restore left is removed", async () => {
    await broken("links");
    at.write("kept.txt", "newer");
    const newer = await syncWorkspace(at.input);
    await restoreWorkspace({ ...there, snapshotId: newer.snapshotId });
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
    expect(besides().sort()).toEqual(["state", "workspace"]);
  });

  test("what another snapshot's restore left is removed when the workspace needs no change", async () => {
    await restoreWorkspace(there);
    at.write("kept.txt", "newer");
    const newer = await syncWorkspace(at.input);
    await expect(
      restoreWorkspace({ ...there, snapshotId: newer.snapshotId }, { ...fakeTools(), failBefore: "links" }),
    ).rejects.toThrow("killed before links");
    expect(await restoreWorkspace(there)).toMatchObject({ bytesFetched: 0 });
    expect(describeTree(there.root)).toEqual(wanted);
    expect(besides().sort()).toEqual(["state", "workspace"]);
  });

  test.each(["links", "remove-old"])(
    "before %s: a workspace that is removed leaves nothing beside it",
    async (step) => {
      await broken(step);
      removeWorkspace(there);
      expect(besides()).toEqual([]);
    },
  );

  test("the store failing in the middle leaves the old workspace", async () => {
    at.peer.fault = ({ path }) => {
      if (path.startsWith("/packs")) throw new TypeError("fetch failed");
      return undefined;
    };
    await expect(restoreWorkspace(there, fakeTools())).rejects.toThrow("fetch failed");
    expect(describeTree(there.root)).toEqual(old);
  });

  test("a root that is a link or no directory is refused", async () => {
    const elsewhere = join(at.folder, "precious");
    mkdirSync(elsewhere);
    writeFileSync(join(elsewhere, "file"), "precious");
    rmSync(there.root, { recursive: true });
    symlinkSync(elsewhere, there.root);
    await expect(restoreWorkspace(there)).rejects.toMatchObject({ reason: "workspace_unusable" });
    expect(existsSync(join(elsewhere, "file"))).toBe(true);
  });
});
