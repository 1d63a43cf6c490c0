/**
 * A listening socket whose descriptor is handed to a child and that this process itself never accepts on: Node starts to
 * accept at the next turn of its loop, so take the descriptor and close within one turn (`handOver`).
 *
 * `_handle.fd` is not documented, but it is the only way to a descriptor in Node; Linux and macOS have it.
 */
import { createServer, type ListenOptions, type Server } from "node:net";

const backlog = 1024;

export type ListeningSocket = { port: number; fd: number; handOver: () => void };

/** Listens on a loopback port; 0 takes a free one. Rejects with EADDRINUSE when it is taken. */
export function listenOnPort(host: string, port: number): Promise<ListeningSocket> {
  return listen({ host, port, backlog });
}

/** Listens on a Unix socket. Its name goes away with `handOver`: after that nobody can connect. */
export function listenOnPath(path: string): Promise<ListeningSocket> {
  return listen({ path });
}

async function listen(options: ListenOptions): Promise<ListeningSocket> {
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options, resolve);
  });
  const address = server.address();
  const fd = (server as Server & { _handle?: { fd?: number } })._handle?.fd;
  if (fd === undefined || fd < 0)
    throw new Error(`Sockets cannot be handed to workerd on ${process.platform}; use Linux, macOS or WSL.`);
  return {
    port: address !== null && typeof address === "object" ? address.port : 0,
    fd,
    handOver: () => server.close(),
  };
}
