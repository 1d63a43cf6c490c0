/**
 * FACTS C2 rows 11 and 24, with the power cut instead of a process killed: what the disk has at some moment is a copy of the
 * image behind a mounted file system. Mounting one needs root; elsewhere the order of the steps is tested (restore-crash).
 */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, cpSync, mkdirSync, openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { finishInterruptedRestore } from "../../../executor-host/workspace/restore-swap.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

const DISK_BYTES = 64 * 1024 * 1024;

let at: Fixture;
let mounted: string[];
beforeEach(() => {
  at = fixture();
  mounted = [];
});
afterEach(() => {
  for (const place of mounted) execFileSync("umount", [place]);
  at.dispose();
});

const image = (name: string) => join(at.folder, `${name}.img`);

/** Mounts an image; undefined where this machine does not let us. */
function mount(name: string): string | undefined {
  const place = join(at.folder, name);
  mkdirSync(place);
  try {
    // What is not flushed stays in memory for longer than the test takes.
    execFileSync("mount", ["-o", "loop,commit=600", image(name), place], { stdio: "pipe" });
  } catch (error) {
    console.warn(`no file system of our own here: ${String(error)}`);
    return undefined;
  }
  mounted.push(place);
  return place;
}

function makeDisk(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return undefined;
  closeSync(openSync(image("disk"), "w"));
  truncateSync(image("disk"), DISK_BYTES);
  if (spawnSync("mke2fs", ["-q", "-t", "ext4", image("disk")]).status !== 0) return undefined;
  return mount("disk");
}

/** The disk as it would be found after the power went now. */
function cutPower(): string {
  cpSync(image("disk"), image("later"));
  return mount("later")!;
}

test.for(["move-old", "move-new", "current", "journal-gone", "nothing more"])(
  "the power goes before %s: the workspace is the old one or the new one, to the last byte",
  async (failBefore, context) => {
    const disk = makeDisk();
    if (disk === undefined) return context.skip("needs root, mke2fs and loop mounts");
    for (let i = 0; i < 200; i++) at.write(`dir/${i % 7}/f${i}`, noise(5_000, i + 1));
    const { snapshotId } = await syncWorkspace(at.input);
    const wanted = describeTree(at.root);
    const there = { ...at.input, snapshotId, root: join(disk, "workspace"), stateDir: join(disk, "state") };
    mkdirSync(there.root);
    writeFileSync(join(there.root, "old"), "old");
    execFileSync("sync", ["-f", disk]);
    const old = describeTree(there.root);

    const restored = restoreWorkspace(there, { ...fakeTools(), failBefore });
    if (failBefore === "nothing more") await restored;
    else await expect(restored).rejects.toThrow("killed");
    const later = cutPower();
    const found = { root: join(later, "workspace"), stateDir: join(later, "state") };
    finishInterruptedRestore(found);
    expect([old, wanted]).toContainEqual(describeTree(found.root));
  },
);
