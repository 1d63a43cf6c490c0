/** On the whole control plane: a host that lost its lease hands in what it had, and that is all it may. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { handInWorkspace } from "../../../executor-host/workspace/hand-in.ts";
import type { SyncInput } from "../../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";
import { type Fixture, fakeTools, fixture } from "./fixture.ts";

let plane: TestControlPlane;
let at: Fixture;
let input: SyncInput;
let page: Page;
let sessionId: string;
let headId: string;

beforeAll(async () => {
  plane = await sharedControlPlane();
  const host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "");
  sessionId = await newSession(plane);
  page = await Page.open(plane, sessionId);
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment, data } = await host.takeAssignment();
  await data.message("run.start");
  data.send({ type: "run.started", runId: page.view.runs[0]!.id });
  at = fixture();
  const store = { url: new URL(assignment.storeUrl, plane.url).href, token: () => host.token, epoch: assignment.epoch };
  input = { ...at.input, sessionId, store };
  at.write("saved.txt", "saved");
  headId = (await syncWorkspace(input, fakeTools())).snapshotId;
  await page.until("the run", (view) => view.runs[0]?.state === "running");
  at.write("unsaved.txt", "work of the lost host");
  await host.connect([], host.control.taken);
  await page.until("the loss", (view) => view.worker.state === "cold");
}, 180_000);
afterAll(async () => {
  at?.dispose();
  await plane?.dispose();
});
type Answer = {
  view: { workspace: object };
  snapshots: { id: string }[];
  session: { id: string };
  entries: { name: string }[];
};
const json = async (path: string, init?: { method: string; body: object }) =>
  (await plane.call(path, init)).json() as Promise<Answer>;

test("[P-snap-18] handed in beside the session's own, pinned, forked, and nothing else is open to that host", async () => {
  expect(page.view.workspace.kept).toMatchObject([{ epoch: input.store.epoch, state: "unsaved", base: headId }]);
  await expect(syncWorkspace(input, fakeTools())).rejects.toMatchObject({ reason: "stale_epoch" });
  const handed = await handInWorkspace(input, fakeTools());
  await page.until("what was kept", (view) => view.workspace.kept?.[0]?.state === "preserved");
  const { view } = await json(`/api/sessions/${sessionId}`);
  expect(view.workspace).toMatchObject({ snapshotId: headId, kept: [{ snapshotId: handed.snapshotId, files: 2 }] });

  // Not twice, and not to read.
  at.write("more.txt", "more");
  await expect(handInWorkspace(input, fakeTools())).rejects.toMatchObject({ reason: "already_kept" });
  const reading = { ...at.elsewhere(headId), sessionId, store: { ...input.store, branch: true } };
  await expect(restoreWorkspace(reading, fakeTools())).rejects.toMatchObject({ reason: "stale_epoch" });

  // The index learns a moment later.
  await expect
    .poll(async () => (await json(`/api/sessions/${sessionId}/snapshots`)).snapshots)
    .toMatchObject([{ id: handed.snapshotId, keptFrom: expect.any(String), pinnedBy: "Gantry" }, { id: headId }]);
  // The session's own line, by which turns are compared, is without it.
  expect((await json(`/api/files/snapshots?sessionId=${sessionId}`)).snapshots.map(({ id }) => id)).toEqual([headId]);
  const fork = await json(`/api/sessions/${sessionId}/fork`, {
    method: "POST",
    body: { snapshotId: handed.snapshotId },
  });
  expect(fork).toHaveProperty("session");
  const tree = await json(`/api/files/tree?sessionId=${fork.session.id}`);
  expect(tree.entries.map(({ name }) => name)).toEqual(["saved.txt", "unsaved.txt"]);
});
