/** A worker's life on the whole control plane: stopped, its files warm, its files gone, restored elsewhere. */
import { expect, onTestFinished, test } from "vitest";
import type { RunStart } from "#protocol/messages.ts";
import type { Whereabouts } from "#protocol/whereabouts.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { fakeTools, fixture } from "../../executor-host/workspace/fixture.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

test("[S-52] [P-42] [P-43] people are told where the files are, through every step", async () => {
  const plane = await sharedControlPlane();
  const joined = async (name: string, slots: number) =>
    await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", { name, slots });
  const at = fixture();
  onTestFinished(at.dispose);
  const studio = await joined("studio", 1);
  const sessionId = await newSession(plane);
  const page = await Page.open(plane, sessionId);
  const told = async (): Promise<Whereabouts> => {
    const answer = (await (await plane.call(`/api/sessions/${sessionId}`)).json()) as { workspace: Whereabouts };
    return answer.workspace;
  };
  expect(await told()).toEqual({ files: "none" });

  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { assignment, data } = await studio.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  expect(await told()).toEqual({ files: "worker", hostId: studio.id });
  at.write("work.txt", "work");
  const url = new URL(assignment.storeUrl, plane.url).href;
  const store = { url, token: () => studio.token, epoch: assignment.epoch };
  const { snapshotId } = await syncWorkspace({ ...at.input, sessionId, store }, fakeTools());
  const finished = { type: "run.finished", data: { outcome: "succeeded" } } as const;
  data.send({ type: "run.events", runId: run.runId, events: [finished] });
  data.send({ type: "worker.status", state: "stopped", warm: snapshotId });
  await data.closed;
  const warm = { files: "warm", hostId: studio.id, snapshotId };
  expect(await told()).toEqual({ ...warm, host: "online", next: "start" });

  const steer = async (verb: "drain" | "resume") =>
    expect((await plane.call(`/api/hosts/${studio.id}/${verb}`, { method: "POST", body: {} })).status).toBe(200);
  await steer("drain");
  expect(await told()).toEqual({ ...warm, host: "draining", next: "restore" });
  await steer("resume");

  studio.control.send({ type: "workspace.removed", sessionId, epoch: assignment.epoch });
  await page.until("the files to be gone", ({ worker }) => worker.state === "cold");
  expect(await told()).toEqual({ files: "store", snapshotId, removedFrom: studio.id, next: "restore" });

  await page.ask({ type: "prompt", prompt: { text: "go on" } });
  const next = await studio.takeAssignment();
  expect((await next.data.message<{ type: string; run: RunStart }>("run.start")).run.snapshotId).toBe(snapshotId);
  expect(await told()).toEqual({ files: "worker", hostId: studio.id });
});
