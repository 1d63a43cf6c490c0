/**
 * The real Claude Code CLI in a real sealed container; only the model is ours. It writes a file, the page shows it, the
 * bytes come back, and the key that it used is nowhere to be found.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ensureBaseImage } from "../support/docker-image.ts";
import { Gantry } from "../support/gantry.ts";
import { type ModelServer, startModelServer } from "../support/model-server/server.ts";
import { visit } from "../support/portal.ts";
import { PortalBrowser } from "../support/portal-browser.ts";
import { giveClis } from "../support/toolkit.ts";

const KEY = "sk-canary-7f3a91c2e8d64b05";
let gantry: Gantry;
let browser: Browser;
let model: ModelServer;

beforeAll(async () => {
  model = await startModelServer({ key: KEY });
  gantry = new Gantry({ GANTRY_IMAGE: await ensureBaseImage(), ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: KEY });
  await giveClis(join(gantry.stateDir, "host", "toolkit"), ["claude-code"]);
  await gantry.start();
  browser = await PortalBrowser.launch();
});
afterAll(async () => {
  await browser?.close();
  await gantry?.dispose();
  await model?.close();
});

test("[R-2.4] [R-2.5] [R-6.2] Claude Code writes a file in a sealed container, and the file downloads byte for byte", async () => {
  const { page, complaints, close } = await visit(browser, gantry);
  await page.goto("/");
  const { sessionId, runId, outcome, text } = await gantry.run({
    provider: "claude-code",
    prompt: "SCN:write-file FILE:/workspace/greeting.txt",
  });
  expect({ outcome, text }).toMatchObject({
    outcome: "succeeded",
    text: expect.stringContaining("The file is written."),
  });
  await page.goto(`/s/${sessionId}`);
  await page.getByTestId("tool-card").first().waitFor();
  await expect
    .poll(async () => (await gantry.call(`/api/files/download?sessionId=${sessionId}&path=greeting.txt`)).status, {
      timeout: 20_000,
      interval: 200,
    })
    .toBe(200);
  const inContainer = execFileSync("docker", ["exec", container(sessionId), "cat", "/workspace/greeting.txt"]);
  await page.goto(`/s/${sessionId}/files?path=greeting.txt`);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByTestId("download").first().click()]);
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks)).toEqual(inContainer);
  expect(inContainer.toString()).toBe("hello world\n");
  expect(model.requests.filter((request) => request.headers["x-api-key"] === KEY).length).toBeGreaterThan(0);
  expect(complaints).toEqual([]);
  await close();

  const events = await (await gantry.call(`/api/runs/${runId}/stream`)).text();
  expect(events).toContain('"type":"usage.recorded"');
  expect(events).not.toContain(KEY);
});

test("[R-2.4] the running container: user, capabilities, network, mounts, limits, no key anywhere", async () => {
  const { sessionId } = await gantry.run({ provider: "claude-code", prompt: "SCN:say:Hello" });
  const id = container(sessionId);
  const [inspected] = JSON.parse(execFileSync("docker", ["inspect", id], { encoding: "utf8" })) as Inspected[];
  const { HostConfig: host, Config: config } = inspected as Inspected;
  expect(config.User).toMatch(/^[1-9]\d*:[1-9]\d*$/);
  expect(host).toMatchObject({
    CapDrop: ["ALL"],
    NetworkMode: "none",
    ReadonlyRootfs: true,
    Privileged: false,
    Init: true,
  });
  expect(host.SecurityOpt.join()).toContain("no-new-privileges");
  expect(host.Memory).toBeGreaterThan(0);
  expect(host.MemorySwap).toBe(host.Memory);
  expect(host.NanoCpus).toBeGreaterThan(0);
  expect(host.PidsLimit).toBeGreaterThan(0);
  const mounts = (inspected as Inspected).Mounts.map(
    ({ Destination, RW }) => `${Destination} ${RW ? "rw" : "ro"}`,
  ).sort();
  expect(mounts).toEqual(["/opt/gantry ro", "/run/egress ro", "/run/gantry rw", "/workspace rw"]);
  const inside = (script: string) => execFileSync("docker", ["exec", id, "sh", "-c", script], { encoding: "utf8" });
  expect(inside("grep -h CapEff /proc/self/status")).toMatch(/CapEff:\s+0+\n/);
  expect(inside("cat /proc/net/dev | tail -n +3 | cut -d: -f1").trim()).toBe("lo");
  expect(inside("touch /x 2>&1 || true")).toContain("Read-only");
  expect(inside("ls /var/run/docker.sock 2>&1 || true")).toContain("No such file");
  // "[s]k…" is found in what it looks at, and not in its own command line.
  const places =
    "cat /proc/*/environ /proc/*/cmdline 2>/dev/null; env; find /workspace /run /home /tmp /etc /opt/gantry -type f -size -4M -not -path '*/node_modules/*' -exec cat {} + 2>/dev/null";
  expect(inside(`(${places}) | tr '\\0' '\\n' | grep -c -- '[s]${KEY.slice(1)}' || true`).trim()).toBe("0");
  expect(JSON.stringify(inspected)).not.toContain(KEY);
  expect(gantry.lines.join("\n")).not.toContain(KEY);
});

test("[R-6.1] resume: the next run goes on in the same conversation", async () => {
  const first = await gantry.run({ provider: "claude-code", prompt: "SCN:say:Hello Remember MARKER-blue" });
  const second = await gantry.run({ sessionId: first.sessionId, provider: "claude-code", prompt: "SCN:history" });
  expect(second.outcome).toBe("succeeded");
  const { view } = await gantry.json<{ view: { conversations: Record<string, string> } }>(
    `/api/sessions/${first.sessionId}`,
  );
  expect(view.conversations["claude-code"]).toBeTruthy();
  expect(second.text).toContain("MARKER-blue");
});

test("[R-5.7] a model that refuses is told as what it is", async () => {
  const refused = await gantry.run({ provider: "claude-code", prompt: "SCN:error:429" });
  expect(refused).toMatchObject({ ok: false, outcome: "failed", reason: "rate_limited" });
  expect(refused.evidence).toBeTruthy();
});

type Inspected = {
  Config: { User: string; Env: string[] };
  HostConfig: {
    CapDrop: string[];
    SecurityOpt: string[];
    NetworkMode: string;
    ReadonlyRootfs: boolean;
    Privileged: boolean;
    Init: boolean;
    Memory: number;
    MemorySwap: number;
    NanoCpus: number;
    PidsLimit: number;
  };
  Mounts: { Destination: string; RW: boolean }[];
};

function container(sessionId: string): string {
  return execFileSync("docker", ["ps", "-q", "--filter", `label=gantry.session=${sessionId}`], {
    encoding: "utf8",
  }).trim();
}
