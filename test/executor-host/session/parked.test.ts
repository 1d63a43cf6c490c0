/**
 * A run that waits for a person, with the real control plane, daemon and runner: whatever is started again meanwhile, the
 * answer finds the run, and the run goes on.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { objectName } from "#protocol/ids.ts";
import { deadlineName } from "../../../durable/session/commands.ts";
import { startTestControlPlane, type TestControlPlane } from "../../support/control-plane.ts";
import { HostFolder, killed } from "../../support/host-process.ts";
import { Page, readStream } from "../../support/live-session.ts";
import { ObjectState } from "../../support/object-state.ts";

const PATIENCE = { timeout: 60_000, interval: 100 };
const HOUR = 60 * 60_000;

let stateDir: string;
let plane: TestControlPlane;
let folder: HostFolder;
let daemon: ReturnType<HostFolder["daemon"]>;

async function startDaemon(): Promise<void> {
  await folder.join(plane);
  daemon = folder.daemon();
}

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "gantry-parked-"));
  plane = await startTestControlPlane({ stateDir });
  folder = new HostFolder({ GANTRY_ALLOW_PROCESS_MODE: "1", GANTRY_NETWORK: "none" });
  await startDaemon();
}, 120_000);
afterAll(async () => {
  await killed(daemon);
  await folder.remove();
  await plane.dispose();
  rmSync(stateDir, { recursive: true, force: true });
});

async function json<T>(path: string, body?: object): Promise<T> {
  const response = await plane.call(path, body === undefined ? {} : { method: "POST", body });
  const text = await response.text();
  expect(response.ok, `${path}: ${response.status} ${text}`).toBe(true);
  return JSON.parse(text) as T;
}

/** While the control plane is away nothing is known; the next look may find it. */
async function stateOf(runId: string): Promise<string> {
  const response = await plane.call(`/api/runs/${runId}`).catch(() => undefined);
  return response?.ok ? ((await response.json()) as { run: { state: string } }).run.state : "unknown";
}

type Asked = { id: string; title: string; runId: string };
const pendingIn = async (query = "") => (await json<{ requests: Asked[] }>(`/api/human-loop/pending${query}`)).requests;

/** A run that has done a thing and asks before it does the next. */
async function asking(): Promise<{ sessionId: string; runId: string; asked: Asked }> {
  const { session } = await json<{ session: { id: string } }>("/api/sessions", { title: "long", vmMode: "process" });
  const prompt = "write one.txt before\nask permission Deploy?\nwrite two.txt after\nsay Done.";
  const { runId } = await json<{ runId: string }>("/api/runs/queue/enqueue", { sessionId: session.id, prompt });
  await expect.poll(() => stateOf(runId), PATIENCE).toBe("waiting");
  const [asked] = await pendingIn(`?sessionId=${session.id}`);
  expect(asked).toMatchObject({ title: "Deploy?", runId });
  return { sessionId: session.id, runId, asked: asked as Asked };
}

/** Answers, and looks at everything that the run did. */
async function answerAndEnd({ sessionId, runId, asked }: Awaited<ReturnType<typeof asking>>): Promise<void> {
  const reply = { requestId: asked.id, decision: "allow" };
  await json("/api/human-loop/reply", reply);
  expect((await plane.call("/api/human-loop/reply", { method: "POST", body: reply })).status).toBe(409);
  await expect.poll(() => stateOf(runId), PATIENCE).toBe("finished");
  const { run } = await json<{ run: object }>(`/api/runs/${runId}`);
  expect(run).toMatchObject({ outcome: "succeeded", attempts: 1 });
  const page = await Page.open(plane, sessionId);
  const tools = page.transcript.messages.flatMap(({ parts }) =>
    parts.flatMap((part) => (part.type === "dynamic-tool" ? [[part.toolName, part.state]] : [])),
  );
  page.close();
  const written = ["write", "output-available"];
  expect(tools).toEqual([written, written]);
  const events = (await readStream(plane, `/api/runs/${runId}/stream?cursor=0`)).map(({ event }) => event.type);
  expect(events.filter((type) => type === "run.finished")).toHaveLength(1);
  expect(events.filter((type) => type === "human_loop.requested")).toHaveLength(1);
  expect(await pendingIn(`?sessionId=${sessionId}`)).toEqual([]);
}

test("answered after a page reload, a crash of the control plane and a crash of the daemon", async () => {
  const run = await asking();
  const page = await Page.open(plane, run.sessionId);
  expect(page.view.pending).toMatchObject([{ requestId: run.asked.id }]);
  page.close();
  plane.killWorkerd();
  await killed(daemon);
  daemon = folder.daemon();
  await expect.poll(() => stateOf(run.runId), PATIENCE).toBe("waiting");
  const reloaded = await Page.open(plane, run.sessionId);
  expect(reloaded.view.pending).toMatchObject([{ requestId: run.asked.id }]);
  await reloaded.until("the host to be back", () => reloaded.hostConnected);
  reloaded.close();
  await answerAndEnd(run);
}, 120_000);

test("[S-40] [S-41] the worker is let go, everything starts again, 30 hours pass, and the answer finds the run, once", async () => {
  const run = await asking();
  const { sessionId, runId, asked } = run;
  const due = (sql: DatabaseSync) =>
    sql.prepare("UPDATE deadline SET at = 1 WHERE name = ?").run(deadlineName.park(runId));
  await plane.evict("SessionObject", objectName(plane.organizationId, sessionId), { webSockets: "hibernate" });
  new ObjectState(stateDir).session(sessionId, (sql) => expect(due(sql).changes).toBe(1));
  await json("/api/reconcile/runs", {});
  type View = {
    worker: { state: string };
    runs: { id: string; parked?: boolean }[];
    workspace: { snapshotId?: string };
  };
  const viewOf = async () => (await json<{ view: View }>(`/api/sessions/${sessionId}`)).view;
  await expect.poll(async () => (await viewOf()).worker.state, PATIENCE).toBe("stopped");
  const { workspace, runs } = await viewOf();
  expect(workspace.snapshotId).toMatch(/^[0-9a-f]{64}$/);
  expect(runs).toMatchObject([{ id: runId, parked: true }]);
  // Its slot is free, and people are still asked.
  const leases = async () => (await json<{ leases: { sessionId: string }[] }>("/api/runs/queue")).leases;
  await expect
    .poll(async () => (await leases()).filter((lease) => lease.sessionId === sessionId), PATIENCE)
    .toEqual([]);
  expect(await pendingIn(`?sessionId=${sessionId}`)).toEqual([asked]);

  await killed(daemon);
  await plane.dispose();
  const later = (sql: DatabaseSync) => void sql.prepare("UPDATE deadline SET at = at - ?").run(30 * HOUR);
  new ObjectState(stateDir).session(sessionId, later);
  new ObjectState(stateDir).fleet(later);
  plane = await startTestControlPlane({ stateDir, secrets: plane.secrets });
  await startDaemon();
  await json("/api/reconcile/runs", {});
  expect(await pendingIn(`?sessionId=${sessionId}`)).toEqual([asked]);
  // The inbox over all sessions.
  expect(await pendingIn()).toEqual([expect.objectContaining(asked)]);
  await answerAndEnd(run);
}, 120_000);
