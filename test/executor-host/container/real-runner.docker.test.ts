/** The engines with the runner that people get, made by prepareToolkit; no CLI is needed for it to come up and to leave. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newId } from "../../../durable/protocol/ids.ts";
import { DockerEngine } from "../../../executor-host/container/docker.ts";
import type { WorkerEngine, WorkerSpec } from "../../../executor-host/container/port.ts";
import { ProcessEngine } from "../../../executor-host/container/process.ts";
import { askHealth } from "../../../executor-host/container/runner-health.ts";
import { prepareToolkit } from "../../../executor-host/toolkit/toolkit.ts";
import { ensureBaseImage } from "../../support/docker-image.ts";

const MiB = 1024 * 1024;

describe("the real runner", () => {
  const installationId = `test-${randomUUID()}`;
  let root: string;
  let image: string;
  let engines: Record<"docker" | "process", WorkerEngine>;

  beforeAll(async () => {
    image = await ensureBaseImage();
    root = await mkdtemp(join(tmpdir(), "gantry-"));
    await prepareToolkit({ dir: join(root, "toolkit") });
    engines = { docker: new DockerEngine(), process: new ProcessEngine({ runRoot: join(root, "run") }) };
  }, 600_000);
  afterAll(async () => {
    for (const engine of Object.values(engines ?? {})) {
      for (const worker of await engine.find(installationId)) await engine.remove(worker, 0);
    }
    if (root) await rm(root, { recursive: true, force: true });
  });

  const spec = (): WorkerSpec => {
    const sessionId = newId("ses");
    return {
      installationId,
      hostId: newId("hst"),
      sessionId,
      epoch: 1,
      image,
      workspaceDir: join(root, "work", sessionId),
      runDir: join(root, "run", sessionId),
      toolkitDir: join(root, "toolkit"),
      limits: { memoryBytes: 512 * MiB, cpus: 1, pids: 256, tmpBytes: 64 * MiB },
    };
  };

  test.each(["docker", "process"] as const)("comes up and leaves well under the engine %s", async (name) => {
    const engine = engines[name];
    const worker = await engine.start(spec());
    expect(await askHealth(worker.socketPath)).toMatchObject({
      ok: true,
      providers: { scripted: expect.anything() },
      runs: [],
    });
    const end = engine.exited(worker);
    await engine.remove(worker, 30_000);
    expect(await end).toEqual({ exitCode: 0, outOfMemory: false });
  });
});
