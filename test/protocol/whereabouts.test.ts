import { expect, test } from "vitest";
import { whereabouts } from "#protocol/whereabouts.ts";
import type { WorkerView, WorkspaceView } from "#protocol/workspace-view.ts";

const SNAPSHOT = "a".repeat(64);
const workspace: WorkspaceView = { snapshotId: SNAPSHOT, syncedAt: 1 };
const stopped = { state: "stopped", hostId: "hst_1", since: 1 } as const;
const online = [{ id: "hst_1", status: "online" as const }];

test("[R-3.1] the files of a stopped worker are warm on its host, and the next prompt starts there while it is online", () => {
  const warm = { files: "warm", hostId: "hst_1", snapshotId: SNAPSHOT };
  expect(whereabouts({ worker: stopped, workspace }, online)).toEqual({ ...warm, host: "online", next: "start" });
  for (const status of ["offline", "draining"] as const) {
    const there = whereabouts({ worker: stopped, workspace }, [{ id: "hst_1", status }]);
    expect(there).toEqual({ ...warm, host: status, next: "restore" });
  }
  expect(whereabouts({ worker: stopped, workspace }, [])).toEqual({ ...warm, host: "removed", next: "restore" });
  // Nobody has asked how the host is: then nothing is said that depends on it.
  expect(whereabouts({ worker: stopped, workspace })).toEqual(warm);
});

test.each<[string, WorkerView, WorkspaceView]>([
  ["the host kept other files", { ...stopped, warm: false }, workspace],
  [
    "unsaved work was given up, and the host is too old to say",
    stopped,
    { ...workspace, discarded: { by: { id: "u", name: "Ada" }, at: 2 } },
  ],
  ["no worker was ever there: a fork", { state: "cold" }, workspace],
])("[S-52] files are in the store: %s", (_why, worker, of) => {
  expect(whereabouts({ worker, workspace: of }, online)).toEqual({
    files: "store",
    snapshotId: SNAPSHOT,
    next: "restore",
  });
});

test("[S-52] files that a host has removed are in the store, and it is said which host had them", () => {
  const worker: WorkerView = { state: "cold", removedFrom: "hst_1", since: 5 };
  expect(whereabouts({ worker, workspace }, online)).toMatchObject({ files: "store", removedFrom: "hst_1" });
});

test("a worker has its files, whatever is saved; without worker and snapshot there are none", () => {
  for (const state of ["starting", "active", "stopping"] as const)
    expect(whereabouts({ worker: { state, hostId: "hst_1", since: 1 }, workspace }, [])).toEqual({
      files: "worker",
      hostId: "hst_1",
    });
  expect(whereabouts({ worker: { state: "cold" }, workspace: {} }, online)).toEqual({ files: "none" });
  expect(whereabouts({ worker: stopped, workspace: {} }, online)).toEqual({ files: "none" });
});
