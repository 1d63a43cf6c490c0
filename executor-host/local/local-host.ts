/**
 * The local host: a child process of its own, exactly what an operator would run elsewhere. It is started again when it
 * dies; it finds its containers and goes on, as after any crash of a host.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { z } from "zod";
import { endRecorded } from "./process-identity.ts";
import { inRepository } from "./repository.ts";
import { Restarts } from "./restarts.ts";

const identitySchema = z.object({ hostId: z.string(), controlUrl: z.string() });

export type LocalHostOptions = {
  stateDir: string;
  env: NodeJS.ProcessEnv;
  log: (line: string) => void;
};

/** The longest pause, with a start, is well below TIMES.leaseMs: else a host that crashes again and again would lose its runs, too. */
export const HOST_RESTARTS = { delaysMs: [200, 1_000, 2_000, 5_000], healthyMs: 30_000 };
/** Interrupt 5 s, SIGTERM 5 s, kill, and saving workspaces. */
const stopDeadlineMs = 30_000;

/** The host's own exit code for: the control plane does not know me any more. */
const exitGone = 78;

const cli = inRepository("executor-host", "cli", "gantry.mjs");
const leaveWithParent = pathToFileURL(join(import.meta.dirname, "leave-with-parent.mjs")).href;

/** Who the host in this folder is; undefined before it joined. */
export function joinedHost(stateDir: string): z.infer<typeof identitySchema> | undefined {
  const file = join(stateDir, "host.json");
  return existsSync(file) ? identitySchema.parse(JSON.parse(readFileSync(file, "utf8"))) : undefined;
}

/** Joins, or joins again under another address. Gives the host's id. Rejects with the CLI's last words. */
export async function joinHost(options: LocalHostOptions, url: string, joinToken: string): Promise<string> {
  const args = ["host", "join", url, "--token", "-", "--name", "this machine", "--state", options.stateDir];
  const child = start(options, args, "pipe");
  child.stdin?.end(`${joinToken}\n`);
  const lines: string[] = [];
  readLines(child, (line) => lines.push(line));
  const code = await exitOf(child);
  const host = code === 0 ? joinedHost(options.stateDir) : undefined;
  if (host === undefined) throw new Error(`The local host could not join (${code}):\n${lines.slice(-10).join("\n")}`);
  return host.hostId;
}

/** Ends a host that an earlier start left behind, as a crash would: the next one finds its workers and goes on. */
export async function endLeftOverHost(stateDir: string): Promise<boolean> {
  return await endRecorded(join(stateDir, "daemon.json"));
}

/** Runs the host until `stop`; `kill` is for those who cannot wait. */
export function runHost(options: LocalHostOptions): { stop: () => Promise<void>; kill: () => void } {
  let child: ChildProcess | undefined;
  let stopped = false;
  const restarts = new Restarts(HOST_RESTARTS.delaysMs, HOST_RESTARTS.healthyMs);
  let timer: NodeJS.Timeout | undefined;

  function launch(): void {
    const began = Date.now();
    child = start(options, ["host", "run", "--state", options.stateDir, "--remove-workers-on-exit"], "ignore");
    readLines(child, options.log);
    void exitOf(child).then((code) => {
      child = undefined;
      if (stopped) return;
      if (code === exitGone) {
        options.log("The local host was removed. The next `npm start` makes a new one.");
        return;
      }
      const waitMs = restarts.next(Date.now() - began);
      options.log(`The local host ended (${code}) and is started again in ${waitMs} ms.`);
      timer = setTimeout(launch, waitMs);
    });
  }
  launch();

  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      const last = child;
      if (last === undefined) return;
      const ended = exitOf(last);
      last.kill("SIGTERM");
      const force = setTimeout(() => last.kill("SIGKILL"), stopDeadlineMs);
      await ended;
      clearTimeout(force);
    },
    kill: () => {
      stopped = true;
      clearTimeout(timer);
      child?.kill("SIGKILL");
    },
  };
}

/** In a process group of its own, so that Ctrl-C in a terminal does not reach it before we say so. */
function start(options: LocalHostOptions, args: string[], stdin: "pipe" | "ignore"): ChildProcess {
  return spawn(process.execPath, ["--import", leaveWithParent, cli, ...args], {
    env: options.env,
    stdio: [stdin, "pipe", "pipe", "ipc"],
    detached: true,
  });
}

function readLines(child: ChildProcess, take: (line: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on("line", take);
  }
}

function exitOf(child: ChildProcess): Promise<number | string> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve(child.signalCode ?? child.exitCode ?? 0);
    child.once("exit", (code, signal) => resolve(signal ?? code ?? 0));
    child.once("error", (error) => resolve(error.message));
  });
}
