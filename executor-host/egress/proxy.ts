/**
 * The one way out of a worker: an HTTP server of the daemon on a Unix socket of one session, which is how it knows who asks.
 *
 *   worker ► 127.0.0.1 forwarder ► <egressDir>/proxy.sock ► policy ► forward (key added) │ tunnel │ refusal
 *
 * Keys are added here and are nowhere in the worker. The container sees the folder, not the socket, so a daemon that was
 * restarted makes a new socket in the same folder and the worker goes on.
 */
import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { PROXY_SOCKET, socketPath } from "../container/socket-path.ts";
import { type EgressStats, Exits, type ExitsOptions } from "./exits.ts";

const headerBytes = 32 * 1024;
const headersTimeoutMs = 30_000;
/** Longer than what clients keep an idle connection for, so that it is they who close it and no request falls between. */
const idleTimeoutMs = 120_000;

export type EgressProxyOptions = ExitsOptions & {
  /** On the host, a folder of this session only, with a short path; it is mounted into the worker. */
  egressDir: string;
  /** Who may connect: the worker's user (container-spec.ts, workerUser). Absent: the daemon's own. */
  owner?: { uid: number; gid: number };
};

export type EgressProxy = {
  readonly socketPath: string;
  stats: () => EgressStats;
  /** Ends everything that is under way. */
  close: () => Promise<void>;
};

/**
 * @throws Error when the folder's path is too long for a socket, or the folder cannot be made
 */
export async function startEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const path = socketPath(options.egressDir, PROXY_SOCKET);
  const exits = new Exits(options);
  const server = createServer(
    {
      maxHeaderSize: headerBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0,
      keepAliveTimeout: idleTimeoutMs,
    },
    (incoming, outgoing) => void exits.http(incoming, outgoing),
  );
  // Idle connections count here as well; a worker gains nothing by holding more than it can use.
  server.maxConnections = 4 * exits.maxConcurrent;
  server.on("connect", (incoming, client, head) => void exits.connect(incoming, client, head));
  await listen(server, options.egressDir, path, options.owner);
  return {
    socketPath: path,
    stats: () => ({ ...exits.stats }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
        exits.destroy();
      }),
  };
}

/** Only the worker's user may connect: the keys behind the socket are for this session, not for everybody on the machine. */
async function listen(
  server: Server,
  dir: string,
  path: string,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
  await chmod(path, 0o600);
  if (!owner || process.getuid?.() !== 0) return;
  for (const owned of [path, dir]) await chown(owned, owner.uid, owner.gid);
}
