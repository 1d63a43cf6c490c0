/** A worker that takes the host's disk, and one that points the daemon at another service's socket. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { readSettings, sessionPaths, statePaths } from "../../../executor-host/config.ts";
import { createLogs } from "../../../executor-host/logs.ts";
import { replyToRunner, stopProviderRun, streamProviderRun } from "../../../executor-host/session/runner-client.ts";
import { ScriptedRunner } from "../../support/scripted-runner.ts";
import { finished, HostUnderTest, messageStop, SESSION } from "./host-under-test.ts";

const MiB = 1024 * 1024;

describe("[R-2.4] the disk of a session", () => {
  let under: HostUnderTest;
  afterEach(() => under.stop());

  const start = async () => {
    const { limits } = readSettings(statePaths(tmpdir()), {});
    under = await HostUnderTest.start({ settings: { limits: { ...limits, workspaceBytes: 2 * MiB } } });
    return await under.lease();
  };
  const fill = (name: string, mebibytes: number) =>
    writeFileSync(join(sessionPaths(under.paths, SESSION).workspace, name), Buffer.alloc(mebibytes * MiB, 1));
  const aborted = async (runId: string) =>
    await under.data().messages.next((m) => m.type === "run.aborted" && m.runId === runId);

  test("a run that takes more than the limit ends as workspace_failed, with the numbers; its worker is gone", async () => {
    await start();
    const { runId, worker } = await under.run();
    fill("big", 3);
    worker.runner.emit(runId, messageStop("written"));
    const end = await aborted(runId);
    expect(end).toMatchObject({
      reason: "workspace_failed",
      evidence: expect.stringMatching(/takes 4 MiB .* is 2 MiB/),
    });
    expect(under.engine.journal).toContain(`remove ${SESSION} 1`);
    // What the run had said until then is not lost.
    await under.eventOf(runId, "message.stop");
  });

  test("below the limit nothing happens", async () => {
    await start();
    const { runId, worker } = await under.run();
    fill("small", 1);
    worker.runner.emit(runId, messageStop("written"));
    await under.syncs.next();
    worker.runner.emit(runId, finished);
    await under.eventOf(runId, "run.finished");
  });

  test("a later run may work on making room; one that takes even more ends", async () => {
    await start();
    const first = await under.run();
    fill("big", 3);
    first.worker.runner.emit(first.runId, messageStop("written"));
    await aborted(first.runId);
    await under.syncs.next();
    const second = await under.run();
    second.worker.runner.emit(second.runId, messageStop("looking"));
    await under.syncs.next();
    second.worker.runner.emit(second.runId, finished);
    await under.eventOf(second.runId, "run.finished");
    const third = await under.run();
    fill("bigger", 3);
    third.worker.runner.emit(third.runId, messageStop("written"));
    expect(await aborted(third.runId)).toMatchObject({ reason: "workspace_failed" });
  });
});

test("a link in the place of the runner's socket is not followed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "gh-"));
  const other = await new ScriptedRunner(join(dir, "other", "runner.sock")).listen();
  const link = join(dir, "runner.sock");
  symlinkSync(other.socketPath, link);
  const { signal } = new AbortController();
  const { logger } = createLogs({ level: "silent" });
  await expect(stopProviderRun(link, "run_1", signal)).rejects.toThrow("is no socket");
  await expect(
    replyToRunner(link, "run_1", { requestId: "r", kind: "approval", decision: "allow" } as never, signal),
  ).rejects.toThrow("is no socket");
  await expect(streamProviderRun(link, { runId: "run_1", cursor: 0 }, signal, logger).next()).rejects.toThrow(
    "is no socket",
  );
  expect(other.calls.all).toEqual([]);
  other.die();
  rmSync(dir, { recursive: true });
});
