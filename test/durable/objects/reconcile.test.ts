/** Sweeps over state that no code of ours would leave behind: spoiled on disk, found, mended, and never found again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunStart } from "#protocol/messages.ts";
import { mergeReports, type ReconcilerReport } from "#protocol/reconcile.ts";
import type { SessionView } from "#protocol/session-view.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { newSession, Page } from "../../support/live-session.ts";
import { ObjectState } from "../../support/object-state.ts";
import { ScriptedHost, ScriptedLink } from "../../support/scripted-host.ts";

const HOUR = 60 * 60_000;
let stateDir: string;
let plane: TestControlPlane;
let host: ScriptedHost;
/** By the trouble that its session is in. */
const session: Record<string, string> = {};
let runningRun = "";
let found: ReconcilerReport[];

type Answer = { ok: boolean; reports: ReconcilerReport[]; nextCursor?: string };

/** All steps of a sweep, few sessions at a time. */
async function sweep(kind: "runs" | "sync", limit = 3): Promise<ReconcilerReport[]> {
  const reports: ReconcilerReport[] = [];
  let cursor: string | undefined;
  do {
    const response = await plane.call(`/api/reconcile/${kind}`, {
      method: "POST",
      body: { limit, ...(cursor ? { cursor } : {}) },
    });
    const answer = (await response.json()) as Answer;
    expect(response.status, JSON.stringify(answer)).toBe(200);
    reports.push(...answer.reports);
    cursor = answer.nextCursor;
  } while (cursor);
  return mergeReports(reports);
}

/** What was found in a session, or in none. */
const foundIn = (reports: readonly ReconcilerReport[], sessionId: string | undefined) =>
  reports.flatMap((report) =>
    report.findings.filter((each) => each.sessionId === sessionId).map((each) => `${each.reconciler}: ${each.what}`),
  );
const failuresOf = (reports: readonly ReconcilerReport[]) => [...new Set(reports.flatMap((report) => report.failures))];

async function enqueue(sessionId: string): Promise<string> {
  const response = await plane.call("/api/runs/queue/enqueue", { method: "POST", body: { sessionId, prompt: "work" } });
  return ((await response.json()) as { runId: string }).runId;
}

/** A session whose run is under way on the host. */
async function running(): Promise<{ sessionId: string; runId: string; data: ScriptedLink }> {
  const sessionId = await newSession(plane);
  const runId = await enqueue(sessionId);
  const { data } = await host.takeAssignment();
  const { run } = await data.message<{ type: string; run: RunStart }>("run.start");
  await data.acknowledged(data.send({ type: "run.started", runId: run.runId }));
  return { sessionId, runId, data };
}

const indexed = async (sql: string) => (await plane.query(sql, session.behind ?? ""))[0];

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "gantry-reconcile-"));
  plane = await startTestControlPlane({ stateDir });
  host = await ScriptedHost.online(plane.url, (await plane.bootstrap("joinToken")).joinToken ?? "", { slots: 5 });
  const leased = await running();
  session.leaseLost = leased.sessionId;
  runningRun = leased.runId;
  const well = await running();
  session.well = well.sessionId;
  session.alarmLost = (await running()).sessionId;
  session.overdue = (await running()).sessionId;
  session.leaseLeft = await newSession(plane);
  session.notQueued = await newSession(plane);
  session.behind = await newSession(plane);
  session.noDeadline = await newSession(plane);
  session.idle = await newSession(plane);
  session.broken = await newSession(plane);
  const blocked = { ...session };
  await host.control.acknowledged(
    host.control.send({ type: "facts", facts: { ...host.facts(), slots: 4 }, leases: await leases() }),
  );
  for (const name of ["notQueued", "noDeadline"]) await enqueue(blocked[name] ?? "");
  // The index learns of a session a moment after it was made.
  for (let known = 0; known < Object.keys(session).length; )
    known = Number((await plane.query("SELECT count(*) AS n FROM sessions"))[0]?.n);
  await plane.dispose();

  const state = new ObjectState(stateDir);
  state.fleet((sql) => {
    sql.prepare("DELETE FROM lease WHERE session_id = ?").run(session.leaseLost ?? "");
    sql
      .prepare("INSERT INTO lease VALUES (?, ?, 7, 'held', 'run_x', ?)")
      .run(session.leaseLeft ?? "", host.id, Date.now() - HOUR);
    sql.prepare("DELETE FROM queue WHERE session_id = ?").run(session.notQueued ?? "");
    const { request } = sql.prepare("SELECT request FROM queue WHERE session_id = ?").get(session.noDeadline ?? "") as {
      request: string;
    };
    const stale = JSON.stringify({ ...JSON.parse(request), sessionId: session.idle, runId: "run_nobody" });
    sql
      .prepare(
        "INSERT INTO queue (run_id, session_id, request, enqueued_at, attempts, refused_by) VALUES ('run_nobody', ?, ?, ?, 0, '[]')",
      )
      .run(session.idle ?? "", stale, Date.now() - HOUR);
  });
  // What they were told to tell arrived long ago: nothing is left that would be told again by itself [S-51].
  for (const name of ["notQueued", "behind"])
    state.session(session[name] ?? "", (sql) => sql.exec("DELETE FROM outbox"));
  state.session(session.noDeadline ?? "", (sql) => sql.exec("DELETE FROM deadline"));
  state.session(session.broken ?? "", (sql) => sql.exec("UPDATE checkpoint SET view = 'spoiled'"));
  state.forgetAlarm(session.alarmLost ?? "", "altogether");
  // The only one that is due about now; the others are hours away.
  state.session(session.alarmLost ?? "", (sql) => sql.exec("DELETE FROM deadline WHERE name = 'auth'"));
  state.forgetAlarm(session.overdue ?? "", "scheduler");
  state.session(session.overdue ?? "", (sql) => sql.prepare("UPDATE deadline SET at = ?").run(Date.now() - HOUR));

  plane = await startTestControlPlane({ stateDir, secrets: plane.secrets });
  await plane.query("UPDATE sessions SET title = 'old', version = 0 WHERE id = ?", session.behind ?? "");
  await plane.query("UPDATE runs SET state = 'finished' WHERE id = ?", runningRun);
  host.origin = plane.url;
  await host.connect(await leases(), host.control.taken);
  found = await sweep("runs");
}, 60_000);
afterAll(async () => {
  await plane?.dispose();
  rmSync(stateDir, { recursive: true, force: true });
});

/** What the host believes in. */
async function leases(): Promise<{ sessionId: string; epoch: number }[]> {
  const { leases: known } = (await (await plane.call("/api/runs/queue")).json()) as {
    leases: { sessionId: string; epoch: number }[];
  };
  return known.map(({ sessionId, epoch }) => ({ sessionId, epoch }));
}

describe("POST /api/reconcile/runs", () => {
  test("[F-16] a lease that its session does not know is ended, and its host is told", async () => {
    expect(foundIn(found, session.leaseLeft)).toContain("leases: lease_unknown_to_session");
    const left = (await leases()).map((lease) => lease.sessionId);
    expect(left).not.toContain(session.leaseLeft);
    await host.control.next((frame) => JSON.stringify(frame.message ?? {}).includes(session.leaseLeft ?? "?"));
  });

  test("[S-25] a run whose lease the pool does not know is ended, with the reason", async () => {
    expect(foundIn(found, session.leaseLost)).toContain("runs: lease_unknown_to_pool");
    const { run } = (await (await plane.call(`/api/runs/${runningRun}`)).json()) as {
      run: { state: string; reason: string };
    };
    expect(run).toMatchObject({ state: "finished", reason: "host_lost" });
  });

  test("[S-25] a run that waits and is not in the queue is asked for again", async () => {
    expect(foundIn(found, session.notQueued)).toContain("runs: run_not_in_the_queue");
    const { entries } = (await (await plane.call("/api/runs/queue")).json()) as { entries: { sessionId: string }[] };
    expect(entries.map((entry) => entry.sessionId)).toContain(session.notQueued);
  });

  test("[F-16] an entry that no session waits for leaves the queue", async () => {
    expect(foundIn(found, session.idle)).toEqual(["queue: entry_nobody_waits_for"]);
    const { entries } = (await (await plane.call("/api/runs/queue")).json()) as { entries: { runId: string }[] };
    expect(entries.map((entry) => entry.runId)).not.toContain("run_nobody");
  });

  test("[S-25] a deadline that is missing is set again, and an alarm that is lost", async () => {
    expect(foundIn(found, session.noDeadline)).toContain("deadlines: deadline_missing");
    expect(foundIn(found, session.alarmLost)).toEqual(["deadlines: alarm_lost"]);
  });

  test("[S-4] [S-25] D1 rows that are behind are sent again", async () => {
    expect(foundIn(found, session.behind)).toEqual(["index: session_row_behind"]);
    expect(await indexed("SELECT title FROM sessions WHERE id = ?")).toEqual({ title: "Test" });
  });

  test("[S-25] [S-19] a deadline that no alarm ever rang for is kept late", async () => {
    expect(foundIn(found, session.overdue)).toContain("deadlines: alarm_overdue");
    const { view } = (await (await plane.call(`/api/sessions/${session.overdue}`)).json()) as { view: SessionView };
    expect(view.runs[0]).toMatchObject({ state: "finished", outcome: "timed_out" });
  });

  test("what is well is left alone", () => {
    expect(foundIn(found, session.well)).toEqual([]);
  });

  test("an object that throws is a failure of its own: the report names it, and the others were looked at", async () => {
    const failures = failuresOf(found);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain(session.broken);
    expect(found.every((report) => report.failures.length <= 1)).toBe(true);
  });

  test("a second sweep finds nothing more", async () => {
    const again = await sweep("runs");
    expect(again.flatMap((report) => report.findings)).toEqual([]);
  });

  test("the batches are as small as asked for, and cover everything", async () => {
    const looked = found.find((report) => report.reconciler === "index")?.looked;
    // All but the broken one.
    expect(looked).toBe(Object.keys(session).length - 1);
  });
});

describe("POST /api/reconcile/sync", () => {
  test("[S-25] a sync that failed and has no next try is asked for again, while the host is there", async () => {
    const { sessionId, data } = await restarted();
    const page = await Page.open(plane, sessionId);
    data.send({ type: "sync.failed", reason: "the store said no", attempt: 3 });
    await page.until("the failure", (view) => view.workspace.failure !== undefined);
    expect(foundIn(await sweep("sync"), sessionId)).toEqual(["syncs: sync_failed_without_next_try"]);
    await data.message("sync.now");
    await data.close();
    await page.when((each) => !each.hostConnected);
    expect(foundIn(await sweep("sync"), sessionId)).toEqual([]);
    page.close();
  });

  async function restarted(): Promise<{ sessionId: string; data: ScriptedLink }> {
    const sessionId = session.well ?? "";
    const lease = (await leases()).find((each) => each.sessionId === sessionId);
    const url = `${plane.url.replace(/^http/, "ws")}/api/link/session/${plane.organizationId}/${sessionId}`;
    const data = await new ScriptedLink(url).open();
    await data.handshake(host.token, { epoch: lease?.epoch ?? 0, received: 1 });
    return { sessionId, data };
  }
});

describe("on schedule", () => {
  test("the cron finds and mends the same, keeps where it stopped, and logs that it has run", async () => {
    await plane.query("UPDATE sessions SET title = 'old', version = 0 WHERE id = ?", session.behind ?? "");
    await plane.fireCron();
    expect(await indexed("SELECT title FROM sessions WHERE id = ?")).toEqual({ title: "Test" });
    const rows = await plane.query("SELECT name, cursor FROM sweeps ORDER BY name");
    expect(rows.map(({ name }) => name)).toEqual(["pool:default", "sessions", "unfinished"]);
    await expect
      .poll(() => plane.logs.filter((line) => line.includes("reconcile_completed")).length)
      .toBeGreaterThan(0);
    await expect.poll(() => plane.logs.some((line) => line.includes("reconcile_swept"))).toBe(true);
  });
});

describe("who may", () => {
  test("an operator, not a member; every sweep is audited", async () => {
    const audit = await plane.query("SELECT count(*) AS n FROM audit WHERE action = 'reconcile.runs' AND allowed = 1");
    expect(Number(audit[0]?.n)).toBeGreaterThan(2);
  });

  test("a cursor that is none is malformed", async () => {
    const answer = await plane.call("/api/reconcile/runs", { method: "POST", body: { cursor: "anything" } });
    expect(answer.status).toBe(400);
  });
});
