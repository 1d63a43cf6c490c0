/** Settings of a pool, from the API to the daemon, and the daemon's own sweep, from the API and back. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { HostRecord } from "#protocol/http.ts";
import { readSettings, statePaths } from "../../../executor-host/config.ts";
import { ensureHostKey } from "../../../executor-host/host-key.ts";
import { joinHost } from "../../../executor-host/identity.ts";
import { createLogs } from "../../../executor-host/logs.ts";
import { type Host, startHost } from "../../../executor-host/main.ts";
import type { TestControlPlane } from "../../support/control-plane.ts";
import { ScriptedEngine } from "../../support/scripted-engine.ts";
import { ScriptedHost } from "../../support/scripted-host.ts";
import { sharedControlPlane } from "../../support/shared-control-plane.ts";

const PATH = "/api/pools/default/settings";
let plane: TestControlPlane;
beforeAll(async () => {
  plane = await sharedControlPlane();
});
afterAll(async () => plane?.dispose());

const joinToken = async () => (await plane.bootstrap("joinToken")).joinToken ?? "";
async function patch(body: object): Promise<{ version: number; settings: object }> {
  const answer = await plane.call(PATH, { method: "PATCH", body });
  expect(answer.status).toBe(200);
  return (await answer.json()) as { version: number; settings: object };
}

describe("PATCH /api/pools/:pool/settings", () => {
  test("reaches a connected host without a reconnect; one that comes back is told what is set now", async () => {
    expect(await (await plane.call(PATH)).json()).toEqual({ pool: "default", version: 0, settings: {} });
    const there = await ScriptedHost.online(plane.url, await joinToken(), { slots: 0 });
    const away = await ScriptedHost.online(plane.url, await joinToken(), { slots: 0 });
    const taken = away.control.taken;
    await away.control.close();

    expect(await patch({ slots: 3, logLevel: "debug" })).toMatchObject({ version: 1 });
    expect(await there.control.message("config_update")).toEqual({
      type: "config_update",
      config: { slots: 3, logLevel: "debug", limits: null, idleStopMs: null },
    });
    expect(await patch({ logLevel: null, idleStopMs: 60_000 })).toEqual({
      pool: "default",
      version: 2,
      settings: { slots: 3, idleStopMs: 60_000 },
    });
    expect(await there.control.message("config_update")).toMatchObject({ config: { slots: 3, idleStopMs: 60_000 } });

    await away.connect([], taken);
    expect(await away.control.message("config_update")).toEqual({
      type: "config_update",
      config: { slots: 3, idleStopMs: 60_000, limits: null, logLevel: null },
    });
    const audit = await plane.query(
      "SELECT target FROM audit WHERE action = 'pools.settings' AND organization_id = ? ORDER BY id",
      plane.organizationId,
    );
    expect(audit.map(({ target }) => target)).toEqual([
      'default: {"logLevel":"debug","slots":3}',
      'default: {"logLevel":null,"idleStopMs":60000}',
    ]);
  });

  test.each([
    ["too many slots", { slots: 5_000 }, 400],
    ["an unknown setting", { nonsense: 1 }, 400],
    ["an unknown limit", { limits: { disks: 1 } }, 400],
    ["no level", { logLevel: "loud" }, 400],
  ])("refuses %s, and nothing is changed", async (_name, body, status) => {
    const before = await (await plane.call(PATH)).json();
    expect((await plane.call(PATH, { method: "PATCH", body })).status).toBe(status);
    expect(await (await plane.call(PATH)).json()).toEqual(before);
  });

  test("a pool that the organisation has not is not found, and not made", async () => {
    expect((await plane.call("/api/pools/nowhere/settings")).status).toBe(404);
    expect((await plane.call("/api/pools/nowhere/settings", { method: "PATCH", body: { slots: 1 } })).status).toBe(404);
  });
});

describe("the daemon", () => {
  let stateDir: string;
  let daemon: Host;
  let hostId: string;
  let levels: string[];

  beforeAll(async () => {
    stateDir = mkdtempSync(join(tmpdir(), "gp-"));
    const paths = statePaths(stateDir);
    const key = await ensureHostKey(paths);
    const joined = await joinHost(
      { controlUrl: plane.url, joinToken: await joinToken(), publicKey: key.publicKey, name: "daemon" },
      { fetch, now: Date.now },
    );
    hostId = joined.hostId;
    levels = [];
    daemon = await startHost(
      {
        paths,
        identity: {
          hostId,
          organizationId: plane.organizationId,
          controlUrl: plane.url,
          pool: "default",
          name: "daemon",
          installationId: "installation-of-the-test",
          labels: {},
        },
        settings: { ...readSettings(paths, {}), slots: 2, allowProcessMode: true, logLevel: "silent" },
        env: {},
      },
      {
        logger: createLogs({ level: "silent" }).logger,
        setLogLevel: (level) => void levels.push(level),
        engines: [new ScriptedEngine()],
        toolkit: {
          dir: async () => join(stateDir, "toolkit"),
          providers: async () => ({ scripted: { state: "ready" } }),
        },
        openEgress: async () => undefined,
      },
    );
  });
  afterAll(async () => {
    await daemon?.close();
    rmSync(stateDir, { recursive: true, force: true });
  });

  async function record(): Promise<HostRecord | undefined> {
    const { hosts } = (await (await plane.call("/api/hosts")).json()) as { hosts: HostRecord[] };
    return hosts.find((host) => host.id === hostId);
  }
  const slots = () => expect.poll(async () => (await record())?.facts?.slots, { timeout: 15_000 });

  test("[R-1.9] does what is set, live, and goes back to its own when it is not set any more", async () => {
    await patch({ slots: 7, logLevel: "warn" });
    await slots().toBe(7);
    expect(levels.at(-1)).toBe("warn");
    await patch({ slots: null, logLevel: null, idleStopMs: null });
    await slots().toBe(2);
    expect(levels.at(-1)).toBe("silent");
  });

  test("[R-3.5] sweeps when an operator asks, and the answer has its report", async () => {
    await expect.poll(async () => (await record())?.status, { timeout: 15_000 }).toBe("online");
    const answer = await plane.call("/api/reconcile/sync", { method: "POST", body: {} });
    const { ok, hosts } = (await answer.json()) as {
      ok: boolean;
      hosts: { hostId: string; reports: { reconciler: string; failures: string[] }[] }[];
    };
    expect(ok).toBe(true);
    const own = hosts.find((host) => host.hostId === hostId);
    expect(own?.reports.map(({ reconciler, failures }) => [reconciler, failures])).toEqual([
      ["workers", []],
      ["containers", []],
    ]);
  });
});
