/** Work that a lost host has: what the session says of it, and who may hand it in. */
import { expect, test } from "vitest";
import { HOST_ID, SessionScript } from "../../support/session-script.ts";

const BRANCH = "b".repeat(64);
const branch = (epoch: number, hostId = HOST_ID, snapshotId = BRANCH) =>
  ({
    type: "snapshot_committed",
    commit: { hostId, epoch, snapshotId, files: 2, bytes: 5, bytesSent: 9, traceId: "t", branch: true },
  }) as const;
const head = (epoch: number, snapshotId = "a".repeat(64)) =>
  ({
    type: "snapshot_committed",
    commit: { hostId: HOST_ID, epoch, snapshotId, files: 1, bytes: 5, bytesSent: 9, traceId: "t" },
  }) as const;

function lost(): { script: SessionScript; epoch: number } {
  const { script } = SessionScript.withRun("running");
  const { epoch } = script.view;
  script.do(head(epoch));
  script.do({ type: "lease_lost", epoch, reason: "The host was silent." });
  return { script, epoch };
}

test("[S-47] a host that is lost in the middle of a run may have unsaved work, and may hand it in once", () => {
  const { script, epoch } = lost();
  const newest = script.view.workspace.snapshotId;
  expect(script.view.workspace.kept).toMatchObject([{ hostId: HOST_ID, epoch, state: "unsaved", base: newest }]);
  script.effects = [];
  script.do(branch(epoch));
  expect(script.view.workspace).toMatchObject({
    snapshotId: newest,
    kept: [{ hostId: HOST_ID, epoch, state: "preserved", snapshotId: BRANCH, files: 2, bytes: 5 }],
  });
  expect(script.took("index")).toMatchObject([{ what: { kind: "branch" } }]);
  // The answer was lost, and the host asks again.
  expect(script.do(branch(epoch))).toEqual([]);
  expect(script.try(branch(epoch, HOST_ID, "c".repeat(64)))).toMatchObject({ ok: false, reason: "already_kept" });
});

test("[S-47] nobody else may, under no other epoch, and not while the lease is held", () => {
  const { script, epoch } = lost();
  for (const other of [branch(epoch, "hst_another"), branch(epoch + 1), branch(epoch - 1)])
    expect(script.try(other)).toMatchObject({ ok: false, reason: "stale_epoch" });
  // As a snapshot of the session's own it is refused as ever.
  expect(script.try(head(epoch))).toMatchObject({ ok: false, reason: "stale_epoch" });
  const held = SessionScript.withRun("running").script;
  expect(held.try(branch(held.view.epoch))).toMatchObject({ ok: false, reason: "stale_epoch" });
  script.do({ type: "remove" });
  expect(script.try(branch(epoch))).toMatchObject({ ok: false, reason: "gone" });
});

test("[S-47] while another host goes on, the newest snapshot stays the newest", () => {
  const { script, epoch } = lost();
  script.prompt("go on");
  script.do({ type: "lease_granted", hostId: "hst_other", epoch: epoch + 1 });
  const next = "e".repeat(64);
  script.do({
    type: "snapshot_committed",
    commit: { ...head(epoch + 1, next).commit, hostId: "hst_other" },
  });
  script.do(branch(epoch));
  expect(script.view.workspace.snapshotId).toBe(next);
  expect(script.view.workspace.kept).toMatchObject([{ hostId: HOST_ID, state: "preserved" }]);
});

test("[S-47] the same host goes on from the files that it kept: saved again, nothing is said to be unsaved", () => {
  const { script, epoch } = lost();
  script.prompt("go on");
  script.do({ type: "lease_granted", hostId: HOST_ID, epoch: epoch + 1 });
  script.do(head(epoch + 1, "e".repeat(64)));
  expect(script.view.workspace.kept).toMatchObject([{ hostId: HOST_ID, epoch, state: "unknown" }]);
});

test("[S-47] a host that is lost with everything saved is not said to have unsaved work", () => {
  const { script, runId } = SessionScript.withRun("running");
  const { epoch } = script.view;
  script.finish(runId);
  script.do(head(epoch));
  script.do({ type: "lease_lost", epoch, reason: "The host was silent." });
  expect(script.view.workspace.kept).toMatchObject([{ state: "unknown" }]);
});
