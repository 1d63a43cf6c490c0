/** A session that goes to another host takes its agent's own memory of the conversation along: real CLIs in containers. */
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { Provider } from "#protocol/vocabulary.ts";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { HostFolder } from "../support/host-process.ts";
import { type ModelServer, startModelServer } from "../support/model-server/server.ts";
import { giveClis } from "../support/toolkit.ts";

const PATIENCE = { timeout: 60_000, interval: 200 };
/** Each keeps its conversations in files of its own. */
const AGENTS: readonly { provider: Provider; model?: string }[] = [
  { provider: "native", model: "anthropic/fake" },
  { provider: "claude-code" },
  { provider: "codex-app-server" },
  { provider: "opencode" },
];
const markerOf = (provider: Provider) => `MARKER-${provider.replaceAll("-", "")}`;

let model: ModelServer;
let gantry: Gantry;
let second: HostFolder;
let daemon: ReturnType<HostFolder["daemon"]>;
let secondId: string;

type Hosts = { hosts: { id: string; status: string; leases: number }[] };
const hosts = async () => (await gantry.json<Hosts>("/api/hosts")).hosts;

const CLIS = ["claude-code", "codex-app-server", "opencode"];

beforeAll(async () => {
  model = await startModelServer();
  const env = {
    GANTRY_IMAGE: await ensureBaseImage(),
    GANTRY_SLOTS: "4",
    ANTHROPIC_BASE_URL: model.url,
    OPENAI_BASE_URL: `${model.url}/v1`,
  };
  gantry = new Gantry(env);
  await giveClis(join(gantry.stateDir, "host", "toolkit"), CLIS);
  await gantry.start();
  second = new HostFolder(env);
  await giveClis(join(second.dir, "toolkit"), CLIS);
  const joining = async () =>
    await gantry.json<{ joinToken: string }>("/api/hosts/join-tokens", { method: "POST", body: {} });
  await second.join({ url: gantry.started.url, bootstrap: joining });
  daemon = second.daemon();
  const other = async () =>
    (await hosts()).find(({ id, status }) => id !== gantry.started.hostId && status === "online");
  secondId = (await vi.waitUntil(other, PATIENCE)).id;
}, 300_000);
afterAll(async () => {
  // It saves and gives back what it has, and leaves no container and no mount.
  if (daemon) {
    const ended = once(daemon, "exit");
    await second.gantry(["host", "drain"]);
    await ended;
  }
  await gantry?.dispose();
  await second?.remove();
  await model?.close();
});

test("[R-6.4] a conversation goes on where its session goes: on another host, with the agent's own memory of it", async () => {
  await gantry.json(`/api/hosts/${secondId}/drain`, { method: "POST", body: {} });
  const orders: { provider: Provider; model?: string; sessionId: string }[] = [];
  for (const agent of AGENTS) {
    const prompt = `SCN:say:Hello Remember ${markerOf(agent.provider)}`;
    const { sessionId, outcome } = await gantry.run({ ...agent, prompt });
    expect(outcome).toBe("succeeded");
    orders.push({ ...agent, sessionId });
  }
  await gantry.json(`/api/hosts/${secondId}/resume`, { method: "POST", body: {} });
  await gantry.json(`/api/hosts/${gantry.started.hostId}/drain`, { method: "POST", body: {} });
  const leases = async () => (await hosts()).find(({ id }) => id === gantry.started.hostId)?.leases;
  await expect.poll(leases, PATIENCE).toBe(0);
  for (const order of orders) {
    const answer = await gantry.run({ ...order, prompt: "SCN:history" });
    expect(answer).toMatchObject({ outcome: "succeeded", text: expect.stringContaining(markerOf(order.provider)) });
    const events = await (await gantry.call(`/api/runs/${answer.runId}/stream?cursor=0`)).text();
    expect(new Set(events.match(/hst_[a-z0-9]{20}/g))).toEqual(new Set([secondId]));
  }
}, 300_000);
