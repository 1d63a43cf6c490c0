/**
 * Gantry's control plane on this machine: the deployed Worker on workerd, with its state in a folder.
 *
 *   this process ──► workerd-keeper (Miniflare) ──► workerd ◄── public port
 *      supervises        supervises                    accepts itself; nothing proxies
 *
 * workerd dies: the keeper starts it again; connections made meanwhile wait in the socket's queue, the ones that were
 * open break. The keeper dies: a new one listens on the same port. State that was acknowledged is on disk.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { controlPlaneEnvironment } from "./environment.ts";
import { KEEPER_FDS, type KeeperMessage, type KeeperStart } from "./keeper-messages.ts";
import { listenOnPath, listenOnPort } from "./listening-socket.ts";
import { applyMigrations, type Statement } from "./migrate.ts";
import { endRecorded, identify, killNow, type ProcessIdentity } from "./process-identity.ts";
import { inRepository } from "./repository.ts";
import { Restarts } from "./restarts.ts";
import { parseWorkerConfig, type WorkerConfig } from "./worker-config.ts";

export type ControlPlaneOptions = {
  /** 0 takes a free one. */
  port: number;
  host?: "127.0.0.1";
  /** Everything that has to outlive a restart is in here; made with mode 0700. */
  stateDir: string;
  /** Given to the Worker as text bindings. */
  secrets: Record<string, string>;
  vars?: Record<string, string>;
  log: (level: string, message: string) => void;
  /** What `build` made; by default the one in dist/. */
  built?: { workerDir: string; webDir: string };
};

export type ControlPlane = {
  url: string;
  /** The rows that a statement on the first D1 database gives. */
  query(sql: string, ...params: unknown[]): Promise<Record<string, unknown>[]>;
  /** Puts an object out of memory, as the platform does with idle ones. Rejects when it does not run. */
  evict(className: string, objectName: string, options?: { webSockets?: "hibernate" | "close" }): Promise<void>;
  /** Fires the Worker's scheduled handler now. */
  fireCron(): Promise<void>;
  /** SIGKILL to workerd: a crash. It comes back by itself. */
  killWorkerd(): void;
  /** SIGKILL to the keeper, which takes workerd with it. It comes back by itself. */
  killKeeper(): void;
  /** Ends every process. Resolves when they are gone. */
  dispose(): Promise<void>;
};

const readyDeadlineMs = 30_000;
const disposeDeadlineMs = 5_000;
/** Healthy as soon as it was ready: workerd alone fails more often, and its keeper starts that again. */
const RESTARTS = { delaysMs: [100, 500, 1_000, 2_000, 5_000], healthyMs: 0 };
const cronIntervalMs = 60_000;
const everyMinute = "* * * * *";

/** Starts it and applies migrations. Rejects when the port is taken or the first start fails. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const host = options.host ?? "127.0.0.1";
  const { workerDir, webDir } = options.built ?? {
    workerDir: inRepository("dist", "worker"),
    webDir: inRepository("dist", "web"),
  };
  const config = parseWorkerConfig(readFileSync(join(workerDir, "config.json"), "utf8"));
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const start: KeeperStart = {
    config,
    scriptPaths: { worker: join(workerDir, "index.js"), control: join(import.meta.dirname, "control-worker.mjs") },
    assetsDir: webDir,
    texts: { ...options.vars, ...options.secrets },
    controlToken: randomBytes(32).toString("base64url"),
    storageDir: join(options.stateDir, "workerd"),
  };
  const workerdRecord = join(options.stateDir, "workerd.json");
  // The workerd of an earlier start that was itself killed would still hold the state's files.
  if (await endRecorded(workerdRecord)) options.log("warn", "Ended what an earlier start left behind.");

  let port = options.port;
  let keeper: Keeper | undefined;
  let disposed = false;
  const restarts = new Restarts(RESTARTS.delaysMs, RESTARTS.healthyMs);
  let readyAt: number | undefined;
  let relaunching = false;

  async function launch(): Promise<void> {
    keeper = await startKeeper({ host, port, start, workerdRecord, log: options.log, onExit: relaunch });
    port = keeper.port;
    await keeper.ready;
    readyAt = performance.now();
  }
  function relaunch(): void {
    // A keeper that ends before it was ready says so twice: it exits, and its launch fails.
    if (disposed || relaunching) return;
    relaunching = true;
    const waitMs = restarts.next(readyAt === undefined ? 0 : performance.now() - readyAt);
    readyAt = undefined;
    options.log("warn", `The control plane ended and is started again in ${waitMs} ms.`);
    setTimeout(() => {
      relaunching = false;
      if (disposed) return;
      launch().catch((error) => {
        options.log("error", String(error));
        relaunch();
      });
    }, waitMs);
  }
  const knock = (path: string, body: object) => callDoor(keeper?.controlPort ?? 0, start.controlToken, path, body);
  const [database] = config.d1_databases;
  const transact = async (statements: Statement[]) =>
    (await knock("/query", { binding: database?.binding, statements })) as Record<string, unknown>[][];

  try {
    await launch();
    if (database !== undefined) await applyMigrations(inRepository(database.migrations_dir), transact);
  } catch (error) {
    disposed = true;
    await keeper?.stop();
    throw error;
  }
  const stopCron = startCron(config, () => knock("/cron", { cron: everyMinute }), options.log);

  return {
    url: `http://${host}:${port}`,
    query: async (sql, ...params) => (await transact([{ sql, params }]))[0] ?? [],
    evict: async (className, name, { webSockets = "hibernate" } = {}) => {
      await knock("/evict", { className, name, webSockets });
    },
    fireCron: async () => {
      await knock("/cron", { cron: everyMinute });
    },
    killWorkerd: () => keeper?.killWorkerd(),
    killKeeper: () => keeper?.kill(),
    dispose: async () => {
      disposed = true;
      stopCron();
      await keeper?.stop();
    },
  };
}

type Keeper = {
  port: number;
  controlPort: number;
  ready: Promise<void>;
  killWorkerd: () => void;
  kill: () => void;
  stop: () => Promise<void>;
};
type KeeperInput = {
  host: string;
  port: number;
  start: KeeperStart;
  workerdRecord: string;
  log: ControlPlaneOptions["log"];
  onExit: () => void;
};

async function startKeeper({ host, port, start, workerdRecord, log, onExit }: KeeperInput): Promise<Keeper> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-"));
  const sockets = {
    public: await listenOnPort(host, port),
    control: await listenOnPort("127.0.0.1", 0),
    entry: await listenOnPath(join(folder, "entry.sock")),
  };
  const stdio: ("ignore" | "pipe" | "ipc" | number)[] = ["ignore", "ignore", "pipe", "ipc"];
  for (const [role, fd] of Object.entries(KEEPER_FDS)) stdio[fd] = sockets[role as keyof typeof sockets].fd;
  // A process group of its own: Ctrl-C in a terminal reaches the one who supervises, not those who are supervised.
  const child = spawn(process.execPath, [join(import.meta.dirname, "workerd-keeper.ts")], {
    stdio,
    detached: true,
    // Miniflare, compiled once, is kept: where Node itself keeps such things unless it is told otherwise.
    env: { NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"), ...controlPlaneEnvironment(process.env) },
  });
  for (const socket of Object.values(sockets)) socket.handOver();
  rmSync(folder, { recursive: true, force: true });

  let workerd: ProcessIdentity | undefined;
  const lastWords: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => lastWords.splice(0, lastWords.length - 20, text));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const ready = new Promise<void>((resolve, reject) => {
    const fail = (why: string) => reject(new Error(`The control plane did not start: ${why}\n${lastWords.join("")}`));
    const timer = setTimeout(() => fail(`not ready after ${readyDeadlineMs} ms`), readyDeadlineMs);
    child.once("exit", (code, signal) => {
      clearTimeout(timer);
      fail(`ended with ${signal ?? code}`);
    });
    child.on("message", (message: KeeperMessage) => {
      if (message.type === "log") {
        log(message.level, message.message);
        if (message.level === "error") lastWords.push(`${message.message}\n`);
      } else if (message.type === "workerd") {
        workerd = identify(message.pid);
        writeFileSync(workerdRecord, JSON.stringify(workerd ?? {}), { mode: 0o600 });
      } else {
        clearTimeout(timer);
        resolve();
      }
    });
  });
  // A keeper that was killed leaves its workerd, and with it the port.
  const killWorkerd = () => killNow(workerd);
  child.once("exit", () => {
    killWorkerd();
    onExit();
  });
  child.send(start);
  return {
    port: sockets.public.port,
    controlPort: sockets.control.port,
    ready,
    killWorkerd,
    kill: () => void child.kill("SIGKILL"),
    stop: () => stopKeeper(child, ended, killWorkerd, workerdRecord),
  };
}

async function stopKeeper(
  child: ChildProcess,
  ended: Promise<void>,
  killWorkerd: () => void,
  record: string,
): Promise<void> {
  if (child.connected) child.disconnect();
  const force = setTimeout(() => child.kill("SIGKILL"), disposeDeadlineMs);
  await ended;
  clearTimeout(force);
  killWorkerd();
  rmSync(record, { force: true });
}

async function callDoor(port: number, token: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text || `${path} answered ${response.status}`);
  return JSON.parse(text);
}

function startCron(config: WorkerConfig, fire: () => Promise<unknown>, log: ControlPlaneOptions["log"]): () => void {
  if (config.triggers.crons.length === 0) return () => {};
  const timer = setInterval(() => {
    fire().catch((error) =>
      log("warn", `The scheduled handler failed: ${error instanceof Error ? error.message : error}`),
    );
  }, cronIntervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
