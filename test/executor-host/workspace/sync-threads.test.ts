/** The threads that wait for the next sync: a faster way to the same answers, and never another answer. */
import { once } from "node:events";
import { chmodSync, lstatSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { giveBack, takeThread } from "../../../executor-host/workspace/sync-threads.ts";
import { describeTree, type Fixture, fakeTools, fixture } from "./fixture.ts";

/** Longer than a signature waits. */
const SETTLED_MS = 60;

let at: Fixture;
beforeEach(() => {
  at = fixture();
  at.write("a.txt", "a");
  at.write("dir/b.txt", "b");
  symlinkSync("a.txt", join(at.root, "link"));
});
afterEach(() => at.dispose());

/** The tree of a snapshot, as another host restores it. */
async function treeOf(snapshotId: string): Promise<string[]> {
  const there = at.elsewhere(snapshotId);
  await restoreWorkspace(there);
  return describeTree(there.root);
}

/** The thread that waits for the next sync of the workspace; it goes on waiting. */
function waiting() {
  const worker = takeThread(at.stateDir);
  giveBack(worker, at.stateDir);
  return worker;
}

describe("a thread that waits", () => {
  test("does the next sync of the same workspace", async () => {
    await syncWorkspace(at.input);
    const thread = waiting();
    at.write("a.txt", "edited");
    const { snapshotId } = await syncWorkspace(at.input);
    expect(waiting()).toBe(thread);
    expect(await treeOf(snapshotId)).toEqual(describeTree(at.root));
  });

  const edits: Record<string, () => void> = {
    "a mode": () => chmodSync(join(at.root, "a.txt"), 0o600),
    "a folder's mode": () => chmodSync(join(at.root, "dir"), 0o700),
    "a link's target": () => {
      rmSync(join(at.root, "link"));
      symlinkSync("dir/b.txt", join(at.root, "link"));
    },
    "a new name": () => at.write("dir/c.txt", "c"),
    "a new name in a folder whose time was set back": () => {
      const { atime, mtime } = lstatSync(join(at.root, "dir"));
      at.write("dir/c.txt", "c");
      utimesSync(join(at.root, "dir"), atime, mtime);
    },
    "another folder under the name of one": () => {
      at.write("other/b.txt", "another b");
      at.write("other/c.txt", "c");
      renameSync(join(at.root, "dir"), join(at.folder, "dir"));
      renameSync(join(at.root, "other"), join(at.root, "dir"));
    },
    "a name that is gone": () => rmSync(join(at.root, "link")),
    "a file in the place of a folder": () => {
      rmSync(join(at.root, "dir"), { recursive: true });
      at.write("dir", "b");
    },
  };
  // At once, when times may not have moved yet, and when everything was known for long.
  const moments = Object.entries(edits).flatMap(([what, edit]) => [
    { what, edit, when: "at once" },
    { what, edit, when: "after all has settled" },
  ]);
  test.each(moments)("sees $what, $when", async ({ edit, when }) => {
    if (when !== "at once") {
      const settled = () => Date.now() > lstatSync(at.root).ctimeMs + SETTLED_MS;
      await vi.waitUntil(settled, { interval: 10 });
    }
    await syncWorkspace(at.input);
    await syncWorkspace(at.input);
    edit();
    const { snapshotId, changed } = await syncWorkspace(at.input);
    expect(changed).toBe(true);
    expect(await treeOf(snapshotId)).toEqual(describeTree(at.root));
    expect(await syncWorkspace(at.input)).toMatchObject({ changed: false, snapshotId });
  });

  test("compares with what a restore has made of the workspace meanwhile", async () => {
    const { snapshotId: old } = await syncWorkspace(at.input);
    const before = describeTree(at.root);
    at.write("a.txt", "edited");
    await syncWorkspace(at.input);
    await restoreWorkspace({ ...at.input, snapshotId: old });
    expect(await syncWorkspace(at.input)).toMatchObject({ changed: false, snapshotId: old });
    expect(await treeOf(old)).toEqual(before);
  });

  test("goes by what is on the disk after a commit that failed", async () => {
    const { snapshotId: old } = await syncWorkspace(at.input);
    at.write("a.txt", "edited");
    at.peer.fault = ({ path }) => {
      if (path === "/snapshots") throw new TypeError("fetch failed");
      return undefined;
    };
    await expect(syncWorkspace(at.input, fakeTools())).rejects.toThrow("fetch failed");
    at.peer.fault = () => undefined;
    const { snapshotId, changed } = await syncWorkspace(at.input);
    expect(changed).toBe(true);
    expect(snapshotId).not.toBe(old);
    expect(await treeOf(snapshotId)).toEqual(describeTree(at.root));
  });

  test.each(["manifest", "index"])("notices that somebody has damaged the %s that it knows", async (ending) => {
    const { snapshotId } = await syncWorkspace(at.input);
    const name = readdirSync(at.stateDir).find((each) => each.endsWith(ending))!;
    writeFileSync(join(at.stateDir, name), "damaged");
    expect(await syncWorkspace(at.input)).toMatchObject({ changed: false, snapshotId, bytesSent: 0 });
    at.write("a.txt", "edited");
    const edited = await syncWorkspace(at.input);
    expect(await treeOf(edited.snapshotId)).toEqual(describeTree(at.root));
  });

  test("is replaced when it has ended meanwhile", async () => {
    await syncWorkspace(at.input);
    const thread = waiting();
    void thread.terminate();
    await once(thread, "exit");
    expect(await syncWorkspace(at.input)).toMatchObject({ changed: false });
    expect(waiting()).not.toBe(thread);
  });

  test("is not used again after a sync that failed", async () => {
    await syncWorkspace(at.input);
    const thread = waiting();
    at.write("a.txt", "edited");
    at.peer.epoch = 2;
    await expect(syncWorkspace(at.input)).rejects.toMatchObject({ reason: "stale_epoch" });
    expect(waiting()).not.toBe(thread);
  });

  test("makes room for those of other workspaces", async () => {
    await syncWorkspace(at.input);
    const thread = waiting();
    const gone = once(thread, "exit");
    for (const other of ["second", "third"]) {
      await syncWorkspace({ ...at.input, root: at.root, stateDir: join(at.folder, other) });
    }
    await gone;
    expect(await syncWorkspace(at.input)).toMatchObject({ changed: false });
  });
});
