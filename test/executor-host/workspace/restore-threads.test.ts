/** The threads that wait for the next restore, and how they share the writing. */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import {
  endRestoreThreads,
  giveBackRestoreThreads,
  type RestoreThreads,
  takeRestoreThreads,
  warmRestoreThreads,
} from "../../../executor-host/workspace/restore-threads.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

let at: Fixture;
let snapshotId: string;
beforeEach(async () => {
  at = fixture();
  // Several frames, files cut into chunks that lie in several of them, one content in many places, and files without any.
  for (let i = 0; i < 200; i++) at.write(`dir-${i % 9}/f${i}`, noise(6_000 + i, i + 1));
  for (let i = 0; i < 2; i++) at.write(`large-${i}`, noise(1_300_000 + i, 400 + i));
  for (let i = 0; i < 20; i++) at.write(`same/${i}`, "the same");
  for (let i = 0; i < 5; i++) at.write(`empty/${i}`, "");
  snapshotId = (await syncWorkspace(at.input)).snapshotId;
});
afterEach(() => at.dispose());

/** The threads that wait for the next restore; they go on waiting. */
function waiting(): RestoreThreads {
  const threads = takeRestoreThreads();
  giveBackRestoreThreads(threads);
  return threads;
}

describe("threads that wait", () => {
  test("do one restore after the other, each right", async () => {
    const threads = waiting();
    expect(threads.writers.length).toBe(Math.min(4, availableParallelism()) - 1);
    for (let round = 0; round < 2; round++) {
      at.write("edited", `round ${round}`);
      const saved = await syncWorkspace(at.input);
      const there = at.elsewhere(saved.snapshotId);
      await restoreWorkspace(there);
      expect(waiting()).toBe(threads);
      expect(describeTree(there.root)).toEqual(describeTree(at.root));
      // All that the threads know of their files has come together: nothing is read again.
      expect(await syncWorkspace(there)).toMatchObject({ changed: false, snapshotId: saved.snapshotId });
    }
  });

  test("serve restores at the same time without touching each other's files", async () => {
    const all = ["a", "b"].map((name) => ({
      ...at.input,
      snapshotId,
      root: join(at.folder, name, "workspace"),
      stateDir: join(at.folder, name, "state"),
    }));
    await Promise.all(all.map((there) => restoreWorkspace(there)));
    for (const { root } of all) expect(describeTree(root)).toEqual(describeTree(at.root));
  });

  test("are not used again after a restore that failed", async () => {
    const threads = waiting();
    const failing = restoreWorkspace(at.elsewhere(snapshotId), { ...fakeTools(), failBefore: "links" });
    await expect(failing).rejects.toThrow("killed before links");
    expect(waiting()).not.toBe(threads);
  });

  test("are replaced when one of them has ended meanwhile", async () => {
    const threads = waiting();
    const one = threads.writers[0] ?? threads.lead;
    void one.terminate();
    await once(one, "exit");
    expect(waiting()).not.toBe(threads);
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
  });

  test("are there before the first restore when a daemon asks for them, and only once", async () => {
    await endRestoreThreads(takeRestoreThreads());
    warmRestoreThreads();
    const threads = waiting();
    warmRestoreThreads();
    expect(waiting()).toBe(threads);
  });

  test("a thread that ends in the middle of a restore ends it with an error, and the next one goes on", async () => {
    const threads = waiting();
    const there = at.elsewhere(snapshotId);
    at.peer.fault = ({ path }) => {
      if (path.startsWith("/packs")) void threads.lead.terminate();
      return undefined;
    };
    await expect(restoreWorkspace(there, fakeTools())).rejects.toThrow("a restore thread ended");
    at.peer.fault = () => undefined;
    await restoreWorkspace(there);
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
  });
});
