/**
 * The way out of a container that has no network: programs talk HTTP to 127.0.0.1, this passes the bytes on to the
 * host's egress proxy over its Unix socket. It understands nothing of what it passes and holds no key; the proxy reads
 * the first path segments (/provider/<provider>/…), adds the key and decides what is allowed.
 *
 * Claude Code could talk to the socket by itself (ANTHROPIC_UNIX_SOCKET), but that is undocumented and only that one CLI
 * can; a base URL on loopback is documented by all of them.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

export type Forwarder = { port: number; close: () => Promise<void> };

/** Listens on a free port of 127.0.0.1. The socket need not exist yet: it is dialled per connection. */
export async function startForwarder(egressSocketPath: string): Promise<Forwarder> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ path: egressSocketPath, allowHalfOpen: true });
    for (const [socket, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(socket);
      socket.on("close", () => open.delete(socket));
      // An orderly end travels through the pipes, after the last byte. Either side's failure is the other side's end:
      // the caller sees a reset and reports it as its own.
      socket.on("error", () => other.destroy());
    }
    inside.pipe(outside);
    outside.pipe(inside);
  });
  const port = await listen(server);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of open) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address) resolve(address.port);
      else reject(new Error("the forwarder has no port"));
    });
  });
}

/**
 * What tells programs to leave through the forwarder. The proxy lets only those names pass that the app's policy lists,
 * and says so to whoever is refused; without this they would fail to resolve a name and nobody would know why.
 */
export function proxyEnvironment(port: number): Record<string, string> {
  const proxy = `http://127.0.0.1:${port}`;
  const direct = "localhost,127.0.0.1,::1";
  const names = { HTTPS_PROXY: proxy, HTTP_PROXY: proxy, NO_PROXY: direct };
  const lower = Object.entries(names).map(([name, value]) => [name.toLowerCase(), value]);
  return { ...names, ...Object.fromEntries(lower) };
}
