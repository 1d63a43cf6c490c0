/** A worker that was stopped: whether its host still has the files, and what the next prompt asks the pool for. */
import { expect, test } from "vitest";
import { deadlineName } from "../../../durable/session/commands.ts";
import { HOST_ID, SessionScript } from "../../support/session-script.ts";

const SNAPSHOT = "a".repeat(64);

/** Saved, and stopped with the given word of the host. */
function stopped(said: { warm?: string | null } = {}): SessionScript {
  const { script, runId } = SessionScript.withRun("running");
  script.finish(runId);
  const commit = { hostId: HOST_ID, epoch: script.view.epoch, snapshotId: SNAPSHOT, files: 1, bytes: 5, bytesSent: 9 };
  script.do({ type: "snapshot_committed", commit: { ...commit, traceId: "t" } });
  script.deadline(deadlineName.idle);
  script.host({ type: "worker.status", state: "stopped", ...said });
  script.effects = [];
  return script;
}
const removed = ({ view }: SessionScript, hostId = HOST_ID, epoch = view.epoch) =>
  ({ type: "files_removed", hostId, epoch }) as const;
function preferred(script: SessionScript): string | undefined {
  script.prompt("go on");
  const [ask] = script.took("ask_fleet");
  if (ask?.type !== "ask_fleet") throw new Error("the pool was not asked for a host");
  return ask.request.preferHostId;
}

test.each([
  ["says that its files are the newest snapshot's", { warm: SNAPSHOT }, true],
  ["has files of another snapshot", { warm: "b".repeat(64) }, false],
  ["has files of no snapshot", { warm: null }, false],
  ["is from before, and does not say", {}, undefined],
])("[P-42] [S-52] a host that %s", (_which, said, warm) => {
  const script = stopped(said);
  expect(script.view.worker).toMatchObject({ state: "stopped", hostId: HOST_ID });
  expect("warm" in script.view.worker ? script.view.worker.warm : undefined).toBe(warm);
  expect(preferred(script)).toBe(warm === false ? undefined : HOST_ID);
});

test("[P-43] [S-52] when the host has removed the files the session has no worker anywhere, and prefers no host", () => {
  const script = stopped({ warm: SNAPSHOT });
  script.now += 5;
  script.do(removed(script));
  expect(script.view.worker).toEqual({ state: "cold", removedFrom: HOST_ID, since: script.now });
  expect(script.view.workspace).toMatchObject({ snapshotId: SNAPSHOT });
  expect(script.view.workspace.kept).toBeUndefined();
  expect(script.took("release_lease")).toEqual([]);
  // Told twice, it is heard once.
  expect(script.do(removed(script))).toEqual([]);
  expect(preferred(script)).toBeUndefined();
});

test("[S-52] late news of files that are gone changes nothing: another host, an older lease, a session that went on", () => {
  const script = stopped({ warm: SNAPSHOT });
  expect(script.do(removed(script, "hst_other"))).toEqual([]);
  expect(script.do(removed(script, HOST_ID, script.view.epoch - 1))).toEqual([]);
  const old = removed(script);
  script.prompt("go on");
  script.lease();
  expect(script.do(old)).toEqual([]);
  expect(script.do(removed(script))).toEqual([]);
  expect(script.view.worker).toMatchObject({ state: "starting" });
});

test("[S-52] a deleted session does not hear of it any more", () => {
  const script = stopped();
  script.do({ type: "remove" });
  expect(script.do(removed(script))).toEqual([]);
});
