/**
 * Workers as plain processes: no isolation at all, for development on one's own machine (R-2.3). The runner gets its own
 * process group and session, so that it outlives the daemon and can be ended with everything it started.
 *
 * A process that this daemon did not start cannot be waited for; its end is noticed by looking, and its exit code is
 * nobody's to know (EXIT_UNSEEN).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, open, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fingerprint } from "./fingerprint.ts";
import { lastWords } from "./last-words.ts";
import {
  EXIT_UNSEEN,
  type Worker,
  type WorkerEngine,
  type WorkerExit,
  type WorkerSpec,
  WorkerStartError,
} from "./port.ts";
import {
  listRecords,
  parseProcessWorkerId,
  processWorkerId,
  readRecord,
  removeRecord,
  writeRecord,
} from "./process-record.ts";
import { killTree, lives, MARK_VARIABLE } from "./process-tree.ts";
import { waitForHealth } from "./runner-health.ts";
import { PROXY_SOCKET, RUNNER_SOCKET, socketPath } from "./socket-path.ts";
import { exitFromNode } from "./worker-exit.ts";

const lookIntervalMs = 250;
const logName = "runner.log";

/** What a worker may see of the daemon's environment: how to find programs and speak the user's language. No keys. */
const passedOn = ["PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "SHELL"];

export type ProcessEngineOptions = {
  /** The folder in which every worker's run folder lies. */
  runRoot: string;
  /** The environment to choose from. */
  env?: NodeJS.ProcessEnv;
  /** From the process' start to its first health, in milliseconds. */
  healthTimeoutMs?: number;
};

type Child = ChildProcess & { pid: number };

export class ProcessEngine implements WorkerEngine {
  readonly vmMode = "process";
  readonly #runRoot: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #healthTimeoutMs: number;
  /** Only children can be waited for. */
  readonly #exits = new Map<string, Promise<WorkerExit>>();

  constructor(options: ProcessEngineOptions) {
    this.#runRoot = options.runRoot;
    this.#env = options.env ?? process.env;
    this.#healthTimeoutMs = options.healthTimeoutMs ?? 30_000;
  }

  async available(): ReturnType<WorkerEngine["available"]> {
    if (process.platform !== "win32") return { ok: true, version: process.version };
    return {
      ok: false,
      reason: "Process mode needs process groups and Unix sockets.",
      fix: "Run this host under WSL.",
    };
  }

  async start(spec: WorkerSpec): Promise<Worker> {
    try {
      if (dirname(spec.runDir) !== this.#runRoot) throw new Error(`${spec.runDir} does not lie in ${this.#runRoot}`);
      const socket = socketPath(spec.runDir, RUNNER_SOCKET);
      await refuseSecond(spec);
      const home = join(spec.runDir, "home");
      for (const dir of [spec.workspaceDir, spec.runDir, home]) await mkdir(dir, { recursive: true, mode: 0o700 });
      await rm(socket, { force: true });
      const mark = randomUUID();
      const child = await launch(spec, socket, { ...chosenEnv(this.#env), HOME: home, [MARK_VARIABLE]: mark });
      return await this.#bringUp(spec, child, mark, socket);
    } catch (error) {
      if (error instanceof WorkerStartError) throw error;
      throw new WorkerStartError("The worker process could not be started.", messageOf(error));
    }
  }

  async find(installationId: string): Promise<Worker[]> {
    const stored = await listRecords(this.#runRoot, installationId);
    const living = await Promise.all(stored.map(async ({ record }) => (await lives(record)) === true));
    return stored
      .filter((_, index) => living[index])
      .map(({ runDir, record }) => ({
        id: processWorkerId(record),
        sessionId: record.sessionId,
        epoch: record.epoch,
        socketPath: join(runDir, RUNNER_SOCKET),
      }));
  }

  async exited(worker: Worker): Promise<WorkerExit> {
    const own = this.#exits.get(worker.id);
    if (own) return own;
    const known = parseProcessWorkerId(worker.id);
    while (await lives(known)) await delay(lookIntervalMs);
    return { exitCode: EXIT_UNSEEN, outOfMemory: false };
  }

  async remove(worker: Worker, graceMs: number): Promise<void> {
    const known = parseProcessWorkerId(worker.id);
    const runDir = dirname(worker.socketPath);
    const record = await readRecord(runDir);
    const recorded = record && processWorkerId(record) === worker.id;
    await killTree(recorded ? record : known, graceMs);
    // A child of ours stays a zombie until Node has collected it, and is then reported with its code.
    await this.#exits.get(worker.id);
    this.#exits.delete(worker.id);
    // A newer worker of the session may live in this folder by now.
    if (!recorded) return;
    await removeRecord(runDir);
    await rm(worker.socketPath, { force: true });
  }

  async reap(installationId: string): Promise<{ removed: string[] }> {
    const removed: string[] = [];
    for (const { runDir, record } of await listRecords(this.#runRoot, installationId)) {
      if (await lives(record)) continue;
      // The runner is dead; what it started may not be.
      await killTree(record, 0);
      await removeRecord(runDir);
      await rm(join(runDir, RUNNER_SOCKET), { force: true });
      removed.push(processWorkerId(record));
    }
    return { removed };
  }

  async #bringUp(spec: WorkerSpec, child: Child, mark: string, socket: string): Promise<Worker> {
    const exit = once(child, "exit").then(([code, signal]) => exitFromNode(code, signal));
    const print = await fingerprint(child.pid);
    const known = { pid: child.pid, fingerprint: print ?? "ended", mark };
    const id = processWorkerId(known);
    const ended = new AbortController();
    const died = exit.then(async ({ exitCode, signal }) => {
      if (ended.signal.aborted) return;
      const words = await lastWordsIn(spec.runDir);
      throw new WorkerStartError(`The runner ended before it answered (${signal ?? `exit code ${exitCode}`}).`, words);
    });
    try {
      const { installationId, hostId, sessionId, epoch } = spec;
      // Before anything can be waited for: a daemon that dies right here must find the process again.
      await writeRecord(spec.runDir, { installationId, hostId, sessionId, epoch, ...known });
      const healthy = waitForHealth(socket, this.#healthTimeoutMs, ended.signal).catch(async (error: unknown) => {
        if (ended.signal.aborted) return;
        const words = await lastWordsIn(spec.runDir);
        throw new WorkerStartError(`The runner did not come up: ${messageOf(error)}`, words);
      });
      await Promise.race([died, healthy]);
      this.#exits.set(id, exit);
      return { id, sessionId, epoch, socketPath: socket };
    } catch (error) {
      await killTree(known, 0);
      await exit;
      await removeRecord(spec.runDir);
      throw error;
    } finally {
      died.catch(() => undefined);
      ended.abort();
    }
  }
}

async function refuseSecond({ runDir }: WorkerSpec): Promise<void> {
  const record = await readRecord(runDir);
  if (!record || !(await lives(record))) return;
  const detail = `Process ${record.pid} (session ${record.sessionId}, epoch ${record.epoch}) has to be removed first.`;
  throw new WorkerStartError("A worker of this session is already there.", detail);
}

async function launch(spec: WorkerSpec, socket: string, env: NodeJS.ProcessEnv): Promise<Child> {
  const egress = spec.egressDir === undefined ? [] : ["--egress-socket", socketPath(spec.egressDir, PROXY_SOCKET)];
  const runner = join(spec.toolkitDir, "runner.mjs");
  const args = [runner, "--socket", socket, "--spool", join(spec.runDir, "spool"), ...egress];
  // A file, not a pipe: a pipe would end with the daemon and take the runner with it at its next line.
  const log = await open(join(spec.runDir, logName), "w", 0o600);
  try {
    const child = spawn(join(spec.toolkitDir, "node"), args, {
      cwd: spec.workspaceDir,
      env,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
    });
    await once(child, "spawn");
    child.unref();
    return child as Child;
  } finally {
    await log.close();
  }
}

function chosenEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(passedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}

async function lastWordsIn(runDir: string): Promise<string> {
  return lastWords(await readFile(join(runDir, logName), "utf8"));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
