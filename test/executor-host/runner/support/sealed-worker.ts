/** A worker in a sealed container behind the real egress proxy, with the fake model server where the vendor would be. */
import { randomUUID } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll } from "vitest";
import { newId } from "#protocol/ids.ts";
import { workerUser } from "../../../../executor-host/container/container-spec.ts";
import { DockerEngine } from "../../../../executor-host/container/docker.ts";
import type { WorkerExit } from "../../../../executor-host/container/port.ts";
import { type Settings, upstreamsFrom } from "../../../../executor-host/egress/credentials.ts";
import { startEgressProxy } from "../../../../executor-host/egress/proxy.ts";
import { ensureBaseImage } from "../../../support/docker-image.ts";
import { type ModelServer, startModelServer } from "../../../support/model-server/server.ts";
import { ensureToolkit } from "../../../support/toolkit.ts";
import { RunnerClient } from "./runner-client.ts";

const MiB = 1024 * 1024;

export type SealedWorker = {
  client: RunnerClient;
  model: ModelServer;
  /** Known to the egress proxy and nobody else. */
  key: string;
  /** As the host sees it. */
  workspaceDir: string;
  exited: Promise<WorkerExit>;
};

/** One for all tests of a file. @param settings what the operator would set, given the model server and the key */
export function sealedWorker(settings: (modelUrl: string, key: string) => Settings): SealedWorker {
  const key = `sk-${randomUUID()}`;
  const worker = { key } as SealedWorker;
  const cleanUps: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    const [image, toolkitDir] = [await ensureBaseImage(), await ensureToolkit()];
    const root = await mkdtemp(path.join(os.tmpdir(), "gs-"));
    cleanUps.unshift(() => rm(root, { recursive: true, force: true }));
    await chmod(root, 0o755);
    const workspaceDir = path.join(root, "workspace");
    const egressDir = path.join(root, "egress");
    const sessionId = newId("ses");
    await mkdir(workspaceDir);
    const owner = process.getuid?.() === 0 ? workerUser() : undefined;
    if (owner) await chown(workspaceDir, owner.uid, owner.gid);
    const model = await startModelServer({ key });
    cleanUps.unshift(() => model.close());
    const proxy = await startEgressProxy({
      sessionId,
      egressDir,
      owner,
      policy: () => ({ mode: "providers" }),
      upstreams: () => upstreamsFrom(settings(model.url, key)),
      log: { info: () => {}, error: (line) => console.error(line) },
    });
    cleanUps.unshift(() => proxy.close());
    const engine = new DockerEngine();
    const installationId = `test-${randomUUID()}`;
    cleanUps.unshift(() => engine.reap(installationId));
    const container = await engine.start({
      ...{ installationId, hostId: newId("hst"), sessionId, epoch: 1, image, workspaceDir, egressDir, toolkitDir },
      runDir: path.join(root, "run"),
      limits: { memoryBytes: 1024 * MiB, cpus: 2, pids: 256, tmpBytes: 256 * MiB, fileBytes: 1024 * MiB },
    });
    cleanUps.unshift(() => engine.remove(container, 0));
    const exited = engine.exited(container);
    Object.assign(worker, { model, workspaceDir, exited, client: new RunnerClient(container.socketPath) });
  }, 900_000);

  afterAll(async () => {
    for (const cleanUp of cleanUps) await cleanUp();
  });
  return worker;
}
