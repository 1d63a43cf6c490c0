/**
 * `npm start`: Gantry on one machine.
 *
 *   build what is stale → control plane → bootstrap → local host joins and runs → host is online → one link
 *
 * Ctrl-C goes the same way back. Signals arrive more than once (terminal, npm and bootstrap.mjs each pass them on), so
 * only one that comes a while after the first means "now".
 */
import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { bootstrap, hostStatuses, type Mint, setDefaultVmMode } from "./api.ts";
import { build } from "./build.ts";
import { startControlPlane } from "./control-plane.ts";
import { endLeftOverHost, joinedHost, joinHost, type LocalHostOptions, runHost } from "./local-host.ts";
import { hasCode } from "./process-identity.ts";
import { parseStartOptions, type StartOptions, startUsage } from "./start-options.ts";
import { openBrowser, printLog, printReady } from "./start-output.ts";
import { openState, type StartState } from "./start-state.ts";

const defaultPort = 8787;
const portsTried = 20;
const onlineDeadlineMs = 60_000;
const onlinePollMs = 150;
const dockerAnswerMs = 5_000;
/** Signals closer together than this are one Ctrl-C. */
const secondSignalMs = 800;

/** What has been started, last one first. */
const undo: (() => Promise<void> | void)[] = [];
const force: (() => void)[] = [];
let stopping: Promise<void> | undefined;

async function main(): Promise<void> {
  const options = parseStartOptions(process.argv.slice(2), process.env);
  const state = openState(options.stateDir);
  undo.push(state.release);
  await build({ log: (message) => printLog("gantry", message) });

  printLog("gantry", "Starting the control plane …");
  const controlPlane = await startOnFreePort(options, state);
  undo.push(() => controlPlane.dispose());
  state.save({ port: Number(new URL(controlPlane.url).port) });

  const docker = await dockerAnswers();
  const host = hostOptions(options, state, docker);
  const joined = joinedHost(state.hostDir);
  const known = state.record.serviceToken && (await hostStatuses(controlPlane.url, state.record.serviceToken));
  const mint: Mint[] = ["signIn"];
  if (!known) mint.push("serviceToken");
  const mustJoin =
    joined === undefined || joined.controlUrl !== controlPlane.url || (known && !known.has(joined.hostId));
  if (mustJoin) mint.push("joinToken");
  const minted = await bootstrap(controlPlane.url, state.secrets.BOOTSTRAP_TOKEN, mint);
  if (minted.serviceToken !== undefined) state.save({ serviceToken: minted.serviceToken });
  const serviceToken = state.record.serviceToken ?? "";
  await followDocker(controlPlane.url, state, docker);
  const hostId = mustJoin ? await joinHost(host, controlPlane.url, minted.joinToken ?? "") : joined.hostId;

  if (await endLeftOverHost(state.hostDir)) printLog("gantry", "An earlier start was killed; its host was ended.");
  printLog("gantry", "Starting this machine's host …");
  const running = runHost(host);
  undo.push(running.stop);
  force.push(running.kill);
  await untilOnline(controlPlane.url, serviceToken, hostId);
  printReady({ url: controlPlane.url, signInUrl: minted.signInUrl, serviceToken, hostId }, options.json);
  if (options.open) openBrowser(minted.signInUrl);
}

/** A port that was asked for is taken or refused; else the last one, the default, or one of the next. */
async function startOnFreePort(options: StartOptions, state: StartState) {
  const first = state.record.port ?? defaultPort;
  const candidates =
    options.port !== undefined
      ? [options.port]
      : [first, ...Array.from({ length: portsTried }, (_, i) => defaultPort + i)];
  for (const port of candidates) {
    try {
      return await startControlPlane({
        port,
        stateDir: state.dir,
        secrets: state.secrets,
        log: (level, message) =>
          printLog("control", level === "warn" || level === "error" ? `${level} ${message}` : message),
      });
    } catch (error) {
      if (!hasCode(error, "EADDRINUSE")) throw error;
    }
  }
  throw new Error(
    `Port ${candidates.length === 1 ? candidates[0] : `${defaultPort} and the next ${portsTried}`} is taken; give --port another one.`,
  );
}

function hostOptions(options: StartOptions, state: StartState, docker: boolean): LocalHostOptions {
  const env: NodeJS.ProcessEnv = { ...process.env };
  if (options.hostSlots !== undefined) env.GANTRY_SLOTS = String(options.hostSlots);
  if (!docker) {
    env.GANTRY_ALLOW_PROCESS_MODE = "1";
    printLog("gantry", "warning: Docker does not answer. Agents run as plain processes of yours, WITHOUT isolation:");
    printLog(
      "gantry",
      "they can read and change whatever you can. Start Docker and `npm start` again to have containers.",
    );
  }
  return { stateDir: state.hostDir, env, log: (line) => printLog("host", line) };
}

/**
 * Without Docker new sessions have to be plain processes, or they would wait for a host that cannot come. What a person
 * chose is left alone: only the default that was set here is set back.
 */
async function followDocker(url: string, state: StartState, docker: boolean): Promise<void> {
  const processMode = !docker;
  if (processMode === (state.record.processMode ?? false)) return;
  await setDefaultVmMode(url, state.record.serviceToken ?? "", processMode ? "process" : "docker");
  state.save({ processMode });
}

function dockerAnswers(): Promise<boolean> {
  return new Promise((resolve) => {
    const args = ["version", "--format", "{{.Server.Version}}"];
    execFile("docker", args, { timeout: dockerAnswerMs }, (error) => resolve(error === null));
  });
}

async function untilOnline(url: string, serviceToken: string, hostId: string): Promise<void> {
  const deadline = Date.now() + onlineDeadlineMs;
  while (stopping === undefined) {
    const status = (await hostStatuses(url, serviceToken))?.get(hostId);
    if (status === "online") return;
    if (Date.now() > deadline)
      throw new Error(`The local host is ${status ?? "unknown"} after ${onlineDeadlineMs / 1000} s.`);
    await delay(onlinePollMs);
  }
  await stopping;
}

async function stop(exitCode: number): Promise<void> {
  for (const step of undo.toReversed()) {
    try {
      await step();
    } catch (error) {
      printLog("gantry", `While stopping: ${error instanceof Error ? error.message : error}`);
      exitCode = 1;
    }
  }
  process.exit(exitCode);
}

function stopOnSignals(): void {
  let firstAt: number | undefined;
  const onSignal = () => {
    if (firstAt === undefined) {
      firstAt = Date.now();
      printLog("gantry", "Stopping … (Ctrl-C again to stop at once)");
      stopping = stop(0);
    } else if (Date.now() - firstAt > secondSignalMs) {
      for (const kill of force) kill();
      setTimeout(() => process.exit(1), 1_000);
    }
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  // bootstrap.mjs was killed: nobody is left to pass a Ctrl-C on.
  process.on("disconnect", onSignal);
}

if (process.argv.includes("--help")) {
  console.log(startUsage);
} else {
  stopOnSignals();
  await main().catch(async (error: unknown) => {
    if (stopping !== undefined) return stopping;
    printLog("gantry", error instanceof Error ? error.message : String(error));
    await stop(1);
  });
}
