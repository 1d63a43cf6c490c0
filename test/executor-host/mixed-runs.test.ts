/**
 * Twenty runs of six providers at once, on two hosts: real control plane, daemons, runners and CLIs, a fake model. All of
 * them ask for leave and are answered together, so that they are under way at the same moment; two of them die of it.
 */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Provider } from "#protocol/vocabulary.ts";
import { startTestControlPlane, type TestControlPlane } from "../support/control-plane.ts";
import { HostFolder, killed } from "../support/host-process.ts";
import { readStream } from "../support/live-session.ts";
import { type ModelServer, startModelServer } from "../support/model-server/server.ts";
import { ensureToolkit } from "../support/toolkit.ts";

const PATIENCE = { timeout: 240_000, interval: 500 };

type Kind = { provider: Provider; runs: number; model?: string; options?: object };
/** OpenCode is the largest by far: half a gigabyte each. */
const KINDS: readonly Kind[] = [
  { provider: "scripted", runs: 6 },
  { provider: "native", runs: 5, model: "anthropic/fake" },
  { provider: "claude-code", runs: 3 },
  { provider: "codex-app-server", runs: 4 },
  { provider: "opencode", runs: 1 },
  { provider: "acp", runs: 1, options: { agent: "claude-agent-acp" } },
];
/** The last of these kinds do not do their work but die of it: the whole worker, and the provider's own program. */
const DEATHS: Partial<Record<Provider, string>> = { scripted: "crash", "codex-app-server": "kill -9 $PPID" };

let plane: TestControlPlane;
let model: ModelServer;
const hosts: { folder: HostFolder; daemon: ReturnType<HostFolder["daemon"]> }[] = [];

beforeAll(async () => {
  const toolkit = await ensureToolkit();
  model = await startModelServer();
  plane = await startTestControlPlane();
  for (const name of ["one", "two"]) {
    const folder = new HostFolder({
      GANTRY_ALLOW_PROCESS_MODE: "1",
      GANTRY_SLOTS: "10",
      ANTHROPIC_BASE_URL: model.url,
      ANTHROPIC_API_KEY: "fake",
      OPENAI_BASE_URL: `${model.url}/v1`,
      OPENAI_API_KEY: "fake",
    });
    mkdirSync(folder.dir, { recursive: true });
    symlinkSync(toolkit, join(folder.dir, "toolkit"));
    await folder.join(plane, name);
    hosts.push({ folder, daemon: folder.daemon() });
  }
  type Hosts = { hosts: { status: string; facts?: { providers?: Record<string, { state: string }> } }[] };
  const ready = async () => (await json<Hosts>("/api/hosts")).hosts.filter(({ status }) => status === "online").length;
  await vi.waitFor(async () => expect(await ready()).toBe(2), PATIENCE);
}, 600_000);
afterAll(async () => {
  for (const { folder, daemon } of hosts) {
    await killed(daemon);
    await folder.remove();
  }
  await plane?.dispose();
  await model?.close();
});

async function json<T>(path: string, body?: object): Promise<T> {
  const response = await plane.call(path, body === undefined ? {} : { method: "POST", body });
  const text = await response.text();
  expect(response.ok, `${path}: ${response.status} ${text}`).toBe(true);
  return JSON.parse(text) as T;
}

type Run = { runId: string; sessionId: string; provider: Provider; file: string; dies: boolean };

async function start({ provider, model, options, runs }: Kind): Promise<Run[]> {
  const started: Run[] = [];
  for (let index = 1; index <= runs; index++) {
    const file = `${provider}-${index}`;
    const dies = index === runs && DEATHS[provider] !== undefined;
    const command = dies && provider !== "scripted" ? DEATHS[provider] : `touch ${file}`;
    const scripted = ["ask permission go on", dies ? DEATHS.scripted : `bash touch ${file}`].join("\n");
    const prompt = provider === "scripted" ? scripted : `SCN:bash CMD:"${command}"`;
    const { session } = await json<{ session: { id: string } }>("/api/sessions", { title: file, vmMode: "process" });
    const providerOptions = { permissionMode: "ask", ...options };
    const order = { sessionId: session.id, provider, model, prompt, providerOptions };
    const { runId } = await json<{ runId: string }>("/api/runs/queue/enqueue", order);
    started.push({ runId, sessionId: session.id, provider, file, dies });
  }
  return started;
}

type Ended = { state: string; outcome?: string; reason?: string; evidence?: string };
const runOf = async ({ runId }: Run) => (await json<{ run: Ended }>(`/api/runs/${runId}`)).run;
const statesOf = async (runs: readonly Run[]) =>
  await Promise.all(runs.map(async (run) => `${run.file} ${(await runOf(run)).state}`));

test("all end, none disturbs another, and what dies takes nothing along", async () => {
  const runs: Run[] = [];
  for (const kind of KINDS) runs.push(...(await start(kind)));
  expect(runs).toHaveLength(20);
  await expect.poll(() => statesOf(runs), PATIENCE).toEqual(runs.map(({ file }) => `${file} waiting`));
  type Pending = { requests: { id: string; runId: string }[] };
  const { requests } = await json<Pending>("/api/human-loop/pending");
  expect(new Set(requests.map(({ runId }) => runId))).toEqual(new Set(runs.map(({ runId }) => runId)));
  const replies = requests.map(({ id }) => json("/api/human-loop/reply", { requestId: id, decision: "allow" }));
  await Promise.all(replies);
  await expect.poll(() => statesOf(runs), PATIENCE).toEqual(runs.map(({ file }) => `${file} finished`));

  const placed = new Set<string>();
  for (const run of runs) {
    const { outcome, reason } = await runOf(run);
    const expected = run.dies ? { outcome: "failed", reason: "container_failed" } : { outcome: "succeeded" };
    expect({ outcome, reason }, run.file).toEqual(expected);
    const events = (await readStream(plane, `/api/runs/${run.runId}/stream?cursor=0`)).map(({ event }) => event);
    expect(events.filter(({ type }) => type === "run.finished")).toHaveLength(1);
    for (const event of events) if (event.type === "run.status" && event.data.hostId) placed.add(event.data.hostId);
    // Its own file and nobody else's.
    const files = async () => {
      const response = await plane.call(`/api/files/tree?sessionId=${run.sessionId}`);
      const { entries = [] } = (await response.json()) as { entries?: { name: string; kind: string }[] };
      return entries.filter(({ kind }) => kind === "file").map(({ name }) => name);
    };
    if (!run.dies) await expect.poll(files, PATIENCE).toEqual([run.file]);
  }
  expect(placed.size).toBe(2);

  // The session whose worker died goes on.
  for (const { sessionId } of runs.filter(({ dies }) => dies)) {
    const again = { sessionId, provider: "scripted", prompt: "say Still here." };
    expect(await json("/api/runs/start", again)).toMatchObject({ outcome: "succeeded", text: "Still here." });
  }
}, 600_000);
