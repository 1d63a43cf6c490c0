/**
 * The process around Miniflare; started by control-plane.ts, which hands it three listening sockets:
 *
 *   fd 4  public    workerd accepts on it directly. The socket belongs to this process, too, so when workerd dies, new
 *                   connections wait in the kernel's queue until the next workerd accepts them. Nobody is refused.
 *   fd 5  control   the operator's door
 *   fd 6  entry     Miniflare's own entry, on a Unix socket without a name: nobody can reach it (miniflare-options.ts)
 *
 * Miniflare starts workerd again by itself when it dies. If that fails, or anything else does, this process ends and
 * control-plane.ts starts a new one. It ends, too, when its parent is gone.
 */
import childProcess from "node:child_process";
import { readFileSync } from "node:fs";
import { Log, LogLevel, Miniflare } from "miniflare";
import { KEEPER_FDS, type KeeperMessage, type KeeperStart } from "./keeper-messages.ts";
import { SOCKETS, workersOf } from "./miniflare-options.ts";
import { hasCode } from "./process-identity.ts";

/** workerd is up again within half a second; this much later something is wrong for good. */
const restartDeadlineMs = 15_000;
const disposeDeadlineMs = 3_000;

let miniflare: Miniflare | undefined;
let ending = false;

function main(): void {
  handSocketsToWorkerd();
  process.once("message", (start: KeeperStart) => void run(start));
  process.on("disconnect", () => void end());
  process.on("SIGTERM", () => void end());
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
}

async function run(start: KeeperStart): Promise<void> {
  const scripts = {
    worker: readFileSync(start.scriptPaths.worker, "utf8"),
    control: readFileSync(start.scriptPaths.control, "utf8"),
  };
  miniflare = new Miniflare({
    workers: workersOf({ ...start, scripts }),
    resourcePersistencePath: start.storageDir,
    host: "127.0.0.1",
    port: 0,
    cf: false,
    telemetry: { enabled: false },
    enableDevRegistry: false,
    logRequests: false,
    log: new Log(LogLevel.NONE),
    handleStructuredLogs: ({ level, message }) => tell({ type: "log", level, message }),
  });
  await miniflare.ready;
  tell({ type: "ready" });
}

/**
 * Miniflare has no way to give workerd a socket that is already open (`--socket-fd`), only addresses. It starts workerd
 * through this one function of Node's, so the arguments are exchanged there; everything else passes through.
 */
function handSocketsToWorkerd(): void {
  const spawn = childProcess.spawn as (...args: unknown[]) => childProcess.ChildProcess;
  const replacement = (command: string, args: string[] = [], options: childProcess.SpawnOptions = {}) => {
    if (!args.includes("--control-fd=3") || !Array.isArray(options.stdio)) return spawn(command, args, options);
    const sockets = Object.entries(SOCKETS).map(
      ([role, name]) => `--socket-fd=${name}=${KEEPER_FDS[role as keyof typeof SOCKETS]}`,
    );
    const rest = args.filter((arg) => !arg.startsWith("--socket-addr="));
    const stdio = [...options.stdio, KEEPER_FDS.public, KEEPER_FDS.control, KEEPER_FDS.entry];
    const workerd = spawn(command, rest.toSpliced(-1, 0, ...sockets), { ...options, stdio });
    if (workerd.pid !== undefined) tell({ type: "workerd", pid: workerd.pid });
    workerd.once("exit", watchRestart);
    return workerd;
  };
  childProcess.spawn = replacement as typeof childProcess.spawn;
}

function watchRestart(): void {
  if (ending) return;
  const timer = setTimeout(() => fail(new Error("workerd did not come back")), restartDeadlineMs);
  miniflare?.ready.then(() => clearTimeout(timer), fail);
}

async function end(): Promise<void> {
  if (ending) return;
  ending = true;
  setTimeout(() => process.exit(1), disposeDeadlineMs);
  await miniflare?.dispose();
  process.exit(0);
}

function fail(error: unknown): void {
  if (ending) return;
  tell({
    type: "log",
    level: "error",
    message: `The process around workerd ends: ${error instanceof Error ? error.stack : error}`,
  });
  process.exitCode = 1;
  ending = true;
  // The parent ends workerd, whose id it knows; Miniflare is not to be trusted any more.
  setImmediate(() => process.exit(1));
}

function tell(message: KeeperMessage): void {
  if (!process.connected) return;
  process.send?.(message, (error: Error | null) => {
    if (error !== null && !hasCode(error, "ERR_IPC_CHANNEL_CLOSED") && !hasCode(error, "EPIPE")) throw error;
  });
}

if (import.meta.main) main();
