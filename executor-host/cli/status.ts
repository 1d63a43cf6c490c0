/** `gantry host status` and `gantry host drain`: what is asked of the running daemon. */
import { readIdentity, type StatePaths, stateDirFrom, statePaths } from "../config.ts";
import type { HostStatus } from "../host-status.ts";
import { askDaemon, runningDaemon } from "../local-api.ts";
import { CommandFailed, say } from "./output.ts";

/** Exit code 3 when no daemon runs, as `systemctl status` has it. */
const EXIT_NOT_RUNNING = 3;

export async function statusCommand(options: { json?: true; state?: string }): Promise<void> {
  const paths = statePaths(stateDirFrom(options.state, process.env));
  const identity = readIdentity(paths);
  const daemon = runningDaemon(paths);
  const status = daemon ? await askDaemon<HostStatus>(paths, "GET", "/status") : undefined;
  if (options.json)
    say(JSON.stringify({ running: daemon !== undefined, pid: daemon?.pid, joined: identity !== undefined, ...status }));
  else if (status && daemon) for (const line of describe(status, daemon.pid)) say(line);
  else say(identity ? `Not running. Joined ${identity.controlUrl} as ${identity.name}.` : "Not running, not joined.");
  if (!daemon) process.exitCode = EXIT_NOT_RUNNING;
}

export async function drainCommand(options: { state?: string }): Promise<void> {
  const paths = statePaths(stateDirFrom(options.state, process.env));
  requireDaemon(paths);
  await askDaemon(paths, "POST", "/drain");
  say("Draining: the daemon ends when every session is saved and given back.");
}

function requireDaemon(paths: StatePaths): void {
  if (!runningDaemon(paths)) throw new CommandFailed(`no daemon runs with ${paths.root}`, EXIT_NOT_RUNNING);
}

function describe(status: HostStatus, pid: number): string[] {
  const { facts, sessions, outbox, diskFull } = status;
  const busy = sessions.filter((session) => session.runs.length > 0).length;
  return [
    `${status.name} (${status.hostId}), process ${pid}`,
    `control plane  ${status.controlUrl}: ${status.control}${status.draining ? ", draining" : ""}`,
    `modes          ${facts?.vmModes.join(", ") || "none"}`,
    ...(diskFull ? [`disk           ${diskFull}`] : []),
    `sessions       ${sessions.length} of ${facts?.slots ?? "?"}, ${busy} with a run`,
    `outbox         ${outbox.messages} messages, ${outbox.bytes} bytes`,
    ...sessions.map((each) => `  ${each.sessionId}  epoch ${each.epoch}  link ${each.link}  ${each.runs[0] ?? "idle"}`),
  ];
}
