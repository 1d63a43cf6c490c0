/** What only time brings about. These run side by side, each waits for the event itself, and the platform's clock is real. */
import { afterAll, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import type { RunStart } from "#protocol/messages.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ScriptedHost, ScriptedLink } from "../../support/scripted-host.ts";

const planes: TestControlPlane[] = [];
afterAll(async () => void (await Promise.all(planes.map((each) => each.dispose()))));

/** A pool of its own for each test, so that no other host takes the run. */
async function pool(): Promise<{ plane: TestControlPlane; joinToken: string }> {
  const plane = await startTestControlPlane();
  planes.push(plane);
  return { plane, joinToken: (await plane.bootstrap("joinToken")).joinToken ?? "" };
}

test.concurrent("[P-4] [R-1.4] a socket that never authenticates is closed", { timeout: 30_000 }, async () => {
  const { plane, joinToken } = await pool();
  const host = new ScriptedHost(plane.url);
  await host.join(joinToken);
  const { connect_url } = await host.ask();
  const link = await new ScriptedLink(connect_url).open();
  expect((await link.closed).code).toBe(4408);
});

test.concurrent("[F-3] [S-15] a host that falls silent loses its lease, and the started run fails with host_lost", {
  timeout: 40_000,
}, async () => {
  const { plane, joinToken } = await pool();
  const host = await ScriptedHost.online(plane.url, joinToken, { silent: true });
  const page = await Page.open(plane, await newSession(plane));
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  const silentSince = Date.now();
  const [closed] = await Promise.all([data.closed, page.when((each) => each.view.runs[0]?.state === "finished")]);
  expect(closed.code).toBe(4412);
  expect(page.view.runs[0]).toMatchObject({ outcome: "failed", reason: "host_lost" });
  expect(Date.now() - silentSince).toBeGreaterThan(TIMES.leaseMs - 1_000);
});

test.concurrent("[F-3] a host that pings keeps its lease", { timeout: 40_000 }, async () => {
  const { plane, joinToken } = await pool();
  const host = await ScriptedHost.online(plane.url, joinToken);
  const page = await Page.open(plane, await newSession(plane));
  await page.ask({ type: "prompt", prompt: { text: "work" } });
  const { data } = await host.takeAssignment();
  await data.message("run.start");
  // The silent socket of the door's own time limit tells that more than one check of the lease has passed.
  const stranger = new ScriptedHost(plane.url);
  await stranger.join((await plane.bootstrap("joinToken")).joinToken ?? "");
  for (let round = 0; round < 2; round++)
    await (await new ScriptedLink((await stranger.ask()).connect_url).open()).closed;
  expect(data.socket.readyState).toBe(data.socket.OPEN);
  expect(page.view.runs[0]?.state).toBe("assigned");
});
