/** What only time brings about. These run side by side, each waits for the event itself, and the platform's clock is real. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { TIMES } from "#protocol/limits.ts";
import type { RunStart } from "#protocol/messages.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { FreezingProxy } from "../../support/freezing-proxy.ts";
import { Page } from "../../support/live-session.ts";
import { ScriptedHost, type ScriptedHostOptions, ScriptedLink } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

let plane: TestControlPlane;
beforeAll(async () => {
  plane = await sharedControlPlane();
});
afterAll(async () => plane?.dispose());

/** A host that is not connected yet; runs that ask for its label come to it alone. */
async function joined(own: string, options: ScriptedHostOptions = {}): Promise<ScriptedHost> {
  const host = new ScriptedHost(plane.url, { ...options, labels: { own } });
  await host.join((await plane.bootstrap("joinToken")).joinToken ?? "");
  return host;
}

async function promptFor(own: string): Promise<Page> {
  const body = { prompt: "work", executionProfile: { labels: { own } } };
  const { sessionId } = (await (await plane.call("/api/runs/queue/enqueue", { method: "POST", body })).json()) as {
    sessionId: string;
  };
  return await Page.open(plane, sessionId);
}

test.concurrent("[P-4] [R-1.4] a socket that never authenticates is closed", { timeout: 60_000 }, async () => {
  const host = await joined("mute");
  const { connect_url } = await host.ask();
  const link = await new ScriptedLink(connect_url).open();
  expect((await link.closed).code).toBe(4408);
});

test.concurrent("[F-3] [S-15] a host that falls silent loses its lease, and the started run fails with host_lost", {
  timeout: 60_000,
}, async () => {
  const page = await promptFor("silent");
  const host = await joined("silent", { silent: true });
  await host.connect();
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  const silentSince = Date.now();
  const [closed] = await Promise.all([data.closed, page.when((each) => each.view.runs[0]?.state === "finished")]);
  expect(closed.code).toBe(4412);
  expect(page.view.runs[0]).toMatchObject({ outcome: "failed", reason: "host_lost" });
  expect(Date.now() - silentSince).toBeGreaterThan(TIMES.leaseMs - 1_000);
});

test.concurrent("[F-3] a host that pings keeps its lease", { timeout: 60_000 }, async () => {
  const host = await joined("pinging");
  await host.connect();
  const page = await promptFor("pinging");
  const { data } = await host.takeAssignment();
  await data.message("run.start");
  // The silent socket of the door's own time limit tells that more than one check of the lease has passed.
  const stranger = await joined("stranger");
  for (let round = 0; round < 2; round++)
    await (await new ScriptedLink((await stranger.ask()).connect_url).open()).closed;
  expect(data.socket.readyState).toBe(data.socket.OPEN);
  expect(page.view.runs[0]?.state).toBe("assigned");
});

test.concurrent("[P-39] [F-3] a dead line: the pool gives the lease up 15 s after the last ping and hangs up; the host that comes back is told", {
  timeout: 60_000,
}, async () => {
  const line = await FreezingProxy.listen(plane.url);
  const host = await joined("cut off");
  await host.connect([], 0, (url) => line.through(url));
  const page = await promptFor("cut off");
  const { data, assignment } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  line.freeze("both");
  // Its words go nowhere, pings as well; the data link, another line, is well and does not count.
  const [closed] = await Promise.all([data.closed, page.when((each) => each.view.runs[0]?.state === "finished")]);
  expect(closed.code).toBe(4412);
  const lost = page.events.find((event) => event.type === "worker.status" && event.data.state === "cold");
  const since = /silent since (\S+)\.$/.exec((lost?.data as { detail?: string } | undefined)?.detail ?? "")?.[1] ?? "";
  const silentMs = (lost?.at ?? 0) - Date.parse(since);
  expect(silentMs).toBeGreaterThanOrEqual(TIMES.leaseMs);
  // A busy machine rings its alarms late, but the time does not come from the next ping or a sweep.
  expect(silentMs).toBeLessThan(TIMES.leaseMs + TIMES.pingIntervalMs);
  expect(host.control.socket.readyState).toBe(host.control.socket.OPEN);
  line.thaw();
  expect((await host.control.closed).code).toBe(1001);
  const { sessionId, epoch } = assignment;
  const back = await host.connect([{ sessionId, epoch }], host.control.taken);
  expect(await back.message("lease.revoked")).toMatchObject({ sessionId, epoch });
  page.close();
  await line.close();
});
