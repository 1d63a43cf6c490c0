/** What a container gives for nothing and a process does not: an end of everything it started, and never of anything else. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { fingerprint } from "../../../executor-host/container/fingerprint.ts";
import type { Worker } from "../../../executor-host/container/port.ts";
import { ProcessEngine } from "../../../executor-host/container/process.ts";
import { readRecord, writeRecord } from "../../../executor-host/container/process-record.ts";
import { killTree } from "../../../executor-host/container/process-tree.ts";
import { askStub, StubFolders, type StubLook } from "../../support/stub-toolkit.ts";

const installationId = `test-${randomUUID()}`;
const idle = ["-e", "setInterval(() => {}, 1 << 30)"];

describe("[R-2.3] worker processes", () => {
  let folders: StubFolders;
  let engine: ProcessEngine;
  const start = async (through = engine): Promise<Worker> => through.start(await folders.spec(installationId, "none"));

  beforeEach(async () => {
    folders = await StubFolders.make();
    engine = new ProcessEngine({ runRoot: folders.runRoot });
  });
  afterEach(async () => {
    for (const worker of await engine.find(installationId)) await engine.remove(worker, 0);
    await folders.remove();
  });

  test("see of the daemon's environment what is on the list, and no key", async () => {
    const env = { PATH: process.env.PATH, LANG: "C.UTF-8", ANTHROPIC_API_KEY: "sk-canary", AWS_SECRET: "canary" };
    const worker = await start(new ProcessEngine({ runRoot: folders.runRoot, env }));
    const { env: seen, cwd } = await askStub<StubLook>(worker, "GET", "/look");
    expect(Object.keys(seen).sort()).toEqual(["GANTRY_WORKER_MARK", "HOME", "LANG", "PATH"]);
    expect(seen.HOME).toBe(join(folders.runRoot, worker.sessionId, "home"));
    expect(cwd).toBe(join(folders.root, "work", worker.sessionId));
  });

  test("removing ends also a child that left its parent's session", async () => {
    const worker = await start();
    const { pid } = await askStub<{ pid: number }>(worker, "POST", "/stray");
    expect(await fingerprint(pid)).toBeDefined();
    await engine.remove(worker, 5_000);
    expect(await fingerprint(pid)).toBeUndefined();
  });

  test("reaping ends the children of a worker that died", async () => {
    const worker = await start();
    const { pid } = await askStub<{ pid: number }>(worker, "POST", "/stray");
    const end = engine.exited(worker);
    await askStub(worker, "POST", "/exit?code=1");
    await end;
    expect(await engine.reap(installationId)).toEqual({ removed: [worker.id] });
    expect(await fingerprint(pid)).toBeUndefined();
  });

  test("outlive a daemon that is killed, and are found by the next one", async () => {
    const spec = await folders.spec(installationId, "none");
    const daemon = join(folders.root, "daemon.ts");
    const engineModule = join(import.meta.dirname, "../../../executor-host/container/process.ts");
    const lines = [
      `import { ProcessEngine } from ${JSON.stringify(engineModule)};`,
      `const engine = new ProcessEngine({ runRoot: ${JSON.stringify(folders.runRoot)} });`,
      `console.log(JSON.stringify(await engine.start(${JSON.stringify(spec)})));`,
      "setInterval(() => {}, 1 << 30);",
    ];
    await writeFile(daemon, lines.join("\n"));
    const child = spawn(process.execPath, [daemon], { stdio: ["ignore", "pipe", "inherit"] });
    const [line] = await once(child.stdout, "data");
    child.kill("SIGKILL");
    await once(child, "exit");

    const worker: Worker = JSON.parse(String(line));
    expect(await engine.find(installationId)).toEqual([worker]);
    await engine.remove(worker, 5_000);
    expect(await engine.find(installationId)).toEqual([]);
  });

  test("a stranger that got the pid is neither found nor killed", async () => {
    const worker = await start();
    const runDir = join(folders.runRoot, worker.sessionId);
    const record = await readRecord(runDir);
    if (!record) throw new Error("the worker has no record");
    await engine.remove(worker, 0);
    const stranger = spawn(process.execPath, idle, { stdio: "ignore", detached: true });
    try {
      const reused = { ...record, pid: stranger.pid ?? 0 };
      await writeRecord(runDir, reused);
      expect(await engine.find(installationId)).toEqual([]);
      expect((await engine.reap(installationId)).removed).toHaveLength(1);
      await killTree(reused, 1_000);
      await engine.remove({ ...worker, id: `pid:${reused.pid}:${record.fingerprint}` }, 1_000);
      expect(await fingerprint(reused.pid)).toBeDefined();
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  test("a session whose leader is gone is not taken for ours by its number alone", async () => {
    // The leader ends and leaves a child in its session, as daemons that fork twice do.
    const script = `const { spawn } = require("node:child_process");
      const child = spawn(process.execPath, ${JSON.stringify(idle)}, { stdio: "ignore" });
      child.unref(); console.log(child.pid); process.exit(0);`;
    const leader = spawn(process.execPath, ["-e", script], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
    const [printed] = await once(leader.stdout, "data");
    const left = Number(printed);
    try {
      if (leader.exitCode === null) await once(leader, "exit");
      await killTree({ pid: leader.pid ?? 0, fingerprint: "from an earlier boot", mark: randomUUID() }, 1_000);
      expect(await fingerprint(left)).toBeDefined();
    } finally {
      process.kill(left, "SIGKILL");
    }
  });

  test("a record that is not understood is left alone", async () => {
    const worker = await start();
    const path = join(folders.runRoot, worker.sessionId, "worker.json");
    const text = await readFile(path, "utf8");
    await writeFile(path, text.slice(0, 20));
    expect(await engine.find(installationId)).toEqual([]);
    expect(await engine.reap(installationId)).toEqual({ removed: [] });
    await writeFile(path, text);
    expect(await engine.find(installationId)).toEqual([worker]);
  });
});
