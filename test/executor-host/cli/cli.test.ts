import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { importJWK, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { HostFolder, killed } from "../../support/host-process.ts";
import { ScriptedControlPlane } from "../../support/scripted-control-plane.ts";

let plane: ScriptedControlPlane;
let folder: HostFolder;
beforeEach(async () => {
  plane = await ScriptedControlPlane.start();
  folder = new HostFolder();
});
afterEach(async () => {
  await folder.remove();
  await plane.stop();
});

const read = (name: string) => JSON.parse(readFileSync(join(folder.dir, name), "utf8"));
const joins = () => plane.http.all.filter(({ path }) => path === "/api/hosts/join").map(({ body }) => JSON.parse(body));

describe("gantry host join", () => {
  test("makes a key that never leaves, trades the token, keeps neither token nor anything secret but the key", async () => {
    const joined = await folder.gantry([
      "host",
      "join",
      plane.url,
      "--token",
      "jt_1",
      "--name",
      "box",
      "--label",
      "gpu=yes",
    ]);
    expect(joined).toMatchObject({ code: 0, stderr: "" });
    expect(joined.stdout).toContain(plane.hostId);
    expect(statSync(join(folder.dir, "host-key.json")).mode & 0o777).toBe(0o600);
    expect(joins()[0]).toEqual({
      joinToken: "jt_1",
      name: "box",
      publicKey: { kty: "OKP", crv: "Ed25519", x: read("host-key.json").x },
    });
    expect(read("host.json")).toMatchObject({
      hostId: plane.hostId,
      controlUrl: plane.url,
      pool: "default",
      labels: { gpu: "yes" },
    });
    expect(readFileSync(join(folder.dir, "host.json"), "utf8")).not.toContain("jt_1");
  });

  test("again: the same key, the same installation, the labels stay", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "jt_1", "--label", "gpu=yes"]);
    const before = { key: read("host-key.json"), identity: read("host.json") };
    const again = await folder.gantry(["host", "join", plane.url, "--token", "jt_2"]);
    expect(again.code).toBe(0);
    expect({ key: read("host-key.json"), identity: read("host.json") }).toEqual(before);
    expect(joins()[1].publicKey).toEqual(joins()[0].publicKey);
  });

  test("after the host was deleted on the server: works without cleaning up, under the new id", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);
    plane.hostId = "hst_00000000000000000002";
    expect((await folder.gantry(["host", "join", plane.url, "--token", "jt_2"])).code).toBe(0);
    expect(read("host.json").hostId).toBe("hst_00000000000000000002");
  });

  test("--force forgets the old key", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);
    await folder.gantry(["host", "join", plane.url, "--token", "jt_2", "--force"]);
    expect(joins()[1].publicKey).not.toEqual(joins()[0].publicKey);
  });

  test("the token comes from stdin, a file or the environment as well", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "-"], "jt_stdin\n");
    writeFileSync(join(folder.dir, "token"), "jt_file\n");
    await folder.gantry(["host", "join", plane.url, "--token", join(folder.dir, "token")]);
    folder.env.GANTRY_JOIN_TOKEN = "jt_env";
    await folder.gantry(["host", "join", plane.url]);
    expect(joins().map(({ joinToken }) => joinToken)).toEqual(["jt_stdin", "jt_file", "jt_env"]);
  });

  test.each([
    ["no token", (url: string) => [url], 2, /join token is needed/],
    ["no encryption", () => ["http://gantry.example", "--token", "x"], 2, /not encrypted/],
    ["no address", () => ["ftp://x", "--token", "x"], 2, /no address/],
    ["nobody there", () => ["http://127.0.0.1:9", "--token", "x"], 1, /cannot be reached/],
  ])("%s: says so and exits", async (_name, args, code, message) => {
    const refused = await folder.gantry(["host", "join", ...args(plane.url)]);
    expect(refused.code).toBe(code);
    expect(refused.stderr).toMatch(message);
    expect(existsSync(join(folder.dir, "host.json"))).toBe(false);
  });
});

describe("the daemon and the commands beside it", () => {
  const joinIt = () => folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);

  test("connects with a private-key JWT for exactly this control plane, good for 60 s", async () => {
    await joinIt();
    const daemon = folder.daemon();
    await plane.control.messages.next(({ type }) => type === "facts");
    const connect = await plane.http.next(({ path }) => path.endsWith("/connect"));
    const { d: _private, ...publicJwk } = read("host-key.json");
    const { payload, protectedHeader } = await jwtVerify(
      JSON.parse(connect.body).assertion,
      await importJWK(publicJwk, "EdDSA"),
    );
    expect(protectedHeader.alg).toBe("EdDSA");
    expect(payload).toMatchObject({ iss: plane.hostId, sub: plane.hostId, aud: plane.url, jti: expect.any(String) });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(60);
    expect(await killed(daemon, "SIGTERM")).toBe(0);
    expect(daemon.log.join("")).not.toContain("token-1");
  });

  test("status says what runs; a second daemon is refused; a killed one leaves no obstacle", async () => {
    expect((await folder.gantry(["host", "status"])).code).toBe(3);
    await joinIt();
    const daemon = folder.daemon();
    await plane.control.messages.next(({ type }) => type === "facts");
    const status = await folder.gantry(["host", "status", "--json"]);
    expect(status.code).toBe(0);
    expect(JSON.parse(status.stdout)).toMatchObject({ running: true, pid: daemon.pid, control: "live", sessions: [] });
    const second = await folder.gantry(["host", "run"]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/running already/);
    await killed(daemon);
    const stale = await folder.gantry(["host", "status", "--json"]);
    expect(stale.code).toBe(3);
    expect(JSON.parse(stale.stdout)).toMatchObject({ running: false, joined: true });
    const next = folder.daemon();
    await plane.control.messages.next(({ type }) => type === "facts");
    await killed(next, "SIGTERM");
  });

  test("a CLI that is installed while the daemon runs is told to the pool at once", async () => {
    await joinIt();
    const daemon = folder.daemon();
    const before = await plane.control.messages.next(({ type }) => type === "facts");
    expect(before).toMatchObject({ facts: { providers: { "claude-code": { state: "environment_not_ready" } } } });
    // As npm would leave it: what is there already is not downloaded again.
    const wanted = join(import.meta.dirname, "../../../executor-host/toolkit/claude-code/package.json");
    const target = join(folder.dir, "toolkit", "claude-code");
    const arch = process.arch === "arm64" ? "arm64" : "x64";
    const binary = join(target, "node_modules", "@anthropic-ai", `claude-code-linux-${arch}`);
    mkdirSync(binary, { recursive: true });
    writeFileSync(join(target, "package.json"), readFileSync(wanted));
    writeFileSync(join(binary, "claude"), "", { mode: 0o755 });
    const installed = await folder.gantry(["host", "toolkit", "install", "claude-code"]);
    expect(installed).toMatchObject({ code: 0, stdout: expect.stringContaining("Installed: claude-code.") });
    await plane.control.messages.next(
      (m) =>
        m.type === "facts" &&
        m.facts.providers["claude-code"]?.version === JSON.parse(`${readFileSync(wanted)}`).version,
    );
    await killed(daemon, "SIGTERM");
  });

  test("drain: the daemon ends by itself when it is empty", async () => {
    await joinIt();
    const daemon = folder.daemon();
    await plane.control.messages.next(({ type }) => type === "facts");
    const ended = new Promise((resolve) => daemon.once("exit", resolve));
    expect((await folder.gantry(["host", "drain"])).code).toBe(0);
    expect(await ended).toBe(0);
  });

  test("a host that was removed stops with its own exit code and says how to come back", async () => {
    await joinIt();
    plane.refuseConnect = { status: 410, reason: "host_removed" };
    const daemon = folder.daemon();
    const code = await new Promise((resolve) => daemon.once("exit", resolve));
    expect(code).toBe(78);
    expect(daemon.log.join("")).toMatch(/join it again/);
  });

  test("run before join says what to do", async () => {
    const refused = await folder.gantry(["host", "run"]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/gantry host join/);
  });
});

describe("gantry host doctor", () => {
  test("before joining: fails, names one fix per line, the summary is last", async () => {
    const report = await folder.gantry(["host", "doctor"]);
    expect(report.code).toBe(1);
    expect(report.stdout).toMatch(/fail +joined/);
    expect(report.stdout).toMatch(/fix: gantry host join/);
    expect(report.stdout.trim().split("\n").at(-1)).toMatch(/checks failed/);
    const bad = report.stdout.split("\n").filter((line) => /^(warn|fail)/.test(line)).length;
    expect(report.stdout.split("\n").filter((line) => line.includes("fix:"))).toHaveLength(bad);
  });

  test("joined and reachable: nothing fails but what this machine lacks; the socket makes its round trip", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);
    folder.env.GANTRY_ALLOW_PROCESS_MODE = "1";
    const report = await folder.gantry(["host", "doctor", "--json"]);
    expect(report.code).toBe(0);
    const { checks } = JSON.parse(report.stdout) as { checks: { name: string; result: string; detail: string }[] };
    const of = (name: string) => checks.find((check) => check.name === name);
    expect(of("websocket")).toMatchObject({ result: "ok", detail: expect.stringMatching(/round trip/) });
    expect(of("clock")).toMatchObject({ result: "ok" });
    expect(of("outbox")).toMatchObject({ result: "ok" });
    expect(of("daemon")).toMatchObject({ result: "warn" });
  });

  test("a control plane that is away fails", async () => {
    await folder.gantry(["host", "join", plane.url, "--token", "jt_1"]);
    await plane.stop();
    const report = await folder.gantry(["host", "doctor"]);
    expect(report.code).toBe(1);
    expect(report.stdout).toMatch(/fail +key/);
  });
});

test("the way in is plain JavaScript that an old Node can read", () => {
  const way = join(import.meta.dirname, "../../../executor-host/cli/gantry.mjs");
  const checked = spawnSync(process.execPath, ["--no-strip-types", "--check", way]);
  expect(checked.status).toBe(0);
});
