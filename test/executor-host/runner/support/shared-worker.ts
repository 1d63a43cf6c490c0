/**
 * A worker as the daemon starts it: its spec, the real egress proxy that alone knows the key, the fake model server where
 * the vendor would be. In a sealed container; where no Docker engine answers in a process, which CI does not put up with.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, onTestFailed } from "vitest";
import { newId } from "#protocol/ids.ts";
import { INSIDE, workerUser } from "../../../../executor-host/container/container-spec.ts";
import { DockerEngine } from "../../../../executor-host/container/docker.ts";
import type { Worker, WorkerEngine, WorkerExit, WorkerSpec } from "../../../../executor-host/container/port.ts";
import { ProcessEngine } from "../../../../executor-host/container/process.ts";
import { upstreamsFrom } from "../../../../executor-host/egress/credentials.ts";
import { startEgressProxy } from "../../../../executor-host/egress/proxy.ts";
import { dockerAvailable, ensureBaseImage } from "../../../support/docker-image.ts";
import { type ModelServer, startModelServer } from "../../../support/model-server/server.ts";
import { ensureToolkit } from "../../../support/toolkit.ts";
import { processesIn } from "./processes.ts";
import { RunnerClient } from "./runner-client.ts";

const MiB = 1024 * 1024;
const LIMITS = { memoryBytes: 1024 * MiB, cpus: 2, pids: 256, tmpBytes: 256 * MiB, fileBytes: 1024 * MiB };
/** The first test of a machine downloads the CLIs and makes the image. */
const PREPARE_MS = 15 * 60_000;
/** What the daemon gives a worker to leave in. */
const GRACE_MS = 15_000;

export type WorkerInTest = {
  client: RunnerClient;
  /** The workspace, as the agent sees it, */
  cwd: string;
  /** and as this machine does. */
  workspaceDir: string;
  model: ModelServer;
  /** Known to the egress proxy and nobody else. */
  key: string;
  /** Whose the agent's programs are. */
  uid: number;
  exited: Promise<WorkerExit>;
  /** What lives in there beside the runner: how each program was called. */
  programs: () => Promise<string[]>;
};

/** One worker for all tests of a file, one run after the other, as a session's worker carries out its prompts. */
export type SharedWorker = {
  /** Called by a test; with a run id of its own. After a test that failed, which may have left a run behind, another worker. */
  next: () => Promise<WorkerInTest & { runId: string }>;
  /** Ends the worker, as the daemon does it, and starts another one in the same workspace, which `next` gives from then on. */
  restart: () => Promise<void>;
};

type Engine = { engine: WorkerEngine; image: string; cwd: (workspaceDir: string) => string };
type Live = WorkerInTest & { worker: Worker; runDir: string; restart: () => Promise<Live>; end: () => Promise<void> };

/** @param toolkit a folder to be used instead of the one with the real CLIs */
export function sharedWorker({ toolkit = ensureToolkit }: { toolkit?: () => Promise<string> } = {}): SharedWorker {
  const root = mkdtemp(path.join(os.tmpdir(), "gs-"));
  let engine: Engine;
  let live: Promise<Live> | undefined;
  let runs = 0;
  beforeAll(async () => {
    await chmod(await root, 0o755); // the worker's user has to get through
    engine = await engineFor(path.join(await root, "run"));
    await toolkit();
  }, PREPARE_MS);
  afterAll(async () => {
    await (await live)?.end();
    await rm(await root, { recursive: true, force: true });
  });
  return {
    next: async () => {
      live ??= launch(engine, await root, await toolkit());
      const worker = await live.catch((error: unknown) => {
        live = undefined;
        throw error;
      });
      onTestFailed(async () => {
        live = undefined;
        console.error(await evidence(worker));
        await worker.end();
      });
      return { ...worker, runId: `run_${++runs}` };
    },
    restart: async () => {
      live = (await live)?.restart();
      await live;
    },
  };
}

async function engineFor(runRoot: string): Promise<Engine> {
  const docker = await dockerAvailable();
  if (docker.ok) return { engine: new DockerEngine(), image: await ensureBaseImage(), cwd: () => INSIDE.workspace };
  if (process.env.CI) throw new Error(`The adapters' contract wants sealed containers: ${docker.reason}`);
  console.log("No Docker engine answers: these workers are processes, not sealed containers.");
  return { engine: new ProcessEngine({ runRoot }), image: "none", cwd: (workspaceDir) => workspaceDir };
}

async function launch({ engine, image, cwd }: Engine, root: string, toolkitDir: string): Promise<Live> {
  const sessionId = newId("ses");
  const workspaceDir = path.join(root, sessionId.slice(-6), "workspace");
  const egressDir = path.join(root, sessionId.slice(-6), "egress");
  await mkdir(workspaceDir, { recursive: true });
  const owner = engine.vmMode === "docker" && process.getuid?.() === 0 ? workerUser() : undefined;
  if (owner) await chown(workspaceDir, owner.uid, owner.gid);
  const key = `sk-${randomUUID()}`;
  const model = await startModelServer({ key });
  const settings = {
    ...{ ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: key },
    ...{ OPENAI_BASE_URL: `${model.url}/v1`, OPENAI_API_KEY: key },
  };
  const proxy = await startEgressProxy({
    sessionId,
    egressDir,
    owner,
    policy: () => ({ mode: "providers" }),
    upstreams: () => upstreamsFrom(settings),
    log: { info: () => {}, error: (line) => console.error(line) },
  });
  const installationId = `test-${randomUUID()}`;
  const runDir = path.join(root, "run", sessionId.slice(-6));
  const spec: WorkerSpec = {
    ...{ installationId, hostId: newId("hst"), sessionId, epoch: 1, image, workspaceDir, egressDir, toolkitDir },
    ...{ runDir, limits: LIMITS },
  };
  const start = async (epoch: number): Promise<Live> => {
    const worker = await engine.start({ ...spec, epoch });
    return {
      ...{ worker, runDir, workspaceDir, model, key, cwd: cwd(workspaceDir) },
      uid: engine.vmMode === "docker" ? workerUser().uid : (process.getuid?.() ?? 0),
      client: new RunnerClient(worker.socketPath),
      exited: engine.exited(worker),
      programs: () => (engine.vmMode === "docker" ? programsOf(worker) : processesIn(workspaceDir)),
      restart: async () => {
        await engine.remove(worker, GRACE_MS);
        return start(epoch + 1);
      },
      end: async () => {
        await engine.remove(worker, GRACE_MS);
        await engine.reap(installationId);
        await proxy.close();
        await model.close();
      },
    };
  };
  return start(1);
}

/** The container's own, without the runner and the init process that started it. */
async function programsOf({ id }: Worker): Promise<string[]> {
  const { stdout } = await promisify(execFile)("docker", ["top", id, "-eo", "pid,args"]);
  const lines = stdout.trim().split("\n").slice(1);
  const commands = lines.map((line) => line.trim().replace(/^\d+ +/, ""));
  // What is defunct has ended, and waits for its parent to hear of it.
  return commands.filter((command) => !command.includes("runner.mjs") && !command.endsWith("<defunct>"));
}

/** What a failed test is explained by: the runner's spools, what the model was asked. */
async function evidence({ runDir, model }: Live): Promise<string> {
  const spool = path.join(runDir, "spool");
  const spools = (await readdir(spool)).filter((name) => name.endsWith(".jsonl"));
  const texts = await Promise.all(spools.map((name) => readFile(path.join(spool, name), "utf8")));
  const asked = model.requests.map(({ method, url, scenario }) => `${method} ${url} ${scenario}`);
  return [...texts.map((text) => text.slice(-20_000)), ...asked].join("\n");
}
