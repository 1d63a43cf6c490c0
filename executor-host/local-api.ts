/**
 * The daemon's own small API, for the commands on the same machine: HTTP on a Unix socket in the state folder, which only
 * its owner can enter. Beside it lies daemon.json, which says who holds the folder (pid and start time): at most one
 * daemon runs on a state folder, and a file that a killed one left is no obstacle.
 *
 *   GET /status     → HostStatus
 *   POST /drain     → 202; the daemon ends when it is empty
 *   POST /look      → 202; the toolkit was changed: the pool hears the new facts
 */
import { mkdirSync, rmSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import { dirname } from "node:path";
import type { StatePaths } from "./config.ts";
import type { HostStatus } from "./host-status.ts";
import { tryLock } from "./local/lock-file.ts";
import { lives, readRecord } from "./local/process-identity.ts";

/** Takes the state folder for this process. @throws Error when a living daemon has it */
export function holdStateFolder(paths: StatePaths): () => void {
  mkdirSync(paths.root, { recursive: true, mode: 0o700 });
  const lock = tryLock(paths.daemon);
  if ("release" in lock) return lock.release;
  throw new Error(`A host is running already with ${paths.root} (process ${lock.heldBy.pid}).`);
}

/** The process that runs the daemon of this state folder; undefined when none lives. */
export function runningDaemon(paths: StatePaths): { pid: number } | undefined {
  const holder = readRecord(paths.daemon);
  return holder && lives(holder) ? { pid: holder.pid } : undefined;
}

export type LocalApi = { status(): HostStatus; drain(): void; look(): void };

/** Serves the API; the caller holds the state folder, so a socket that is there is a dead daemon's. */
export async function serveLocalApi(paths: StatePaths, api: LocalApi): Promise<Server> {
  rmSync(paths.daemonSocket, { force: true });
  const server = createServer((incoming, outgoing) => {
    const say = (status: number, body: unknown) =>
      outgoing.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    incoming.resume();
    if (incoming.method === "GET" && incoming.url === "/status") return say(200, api.status());
    if (incoming.method === "POST" && incoming.url === "/drain") {
      api.drain();
      return say(202, { ok: true });
    }
    if (incoming.method === "POST" && incoming.url === "/look") {
      api.look();
      return say(202, { ok: true });
    }
    return say(404, { ok: false });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(paths.daemonSocket, () => resolve());
  });
  return server;
}

/** Asks the running daemon. @throws the socket's error when none answers */
export function askDaemon<T>(paths: StatePaths, method: "GET" | "POST", path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const asking = request(
      { socketPath: paths.daemonSocket, method, path, agent: false, timeout: 5_000 },
      async (response) => {
        let text = "";
        for await (const chunk of response) text += chunk;
        resolve(JSON.parse(text) as T);
      },
    );
    asking.on("timeout", () =>
      asking.destroy(new Error(`the daemon in ${dirname(paths.daemonSocket)} does not answer`)),
    );
    asking.on("error", reject);
    asking.end();
  });
}
