/**
 * A line that can go dead without a word, as a NAT that forgot a connection or a pulled cable leaves it: both ends still
 * look open, and what they say goes nowhere. Connections that come later are new lines and pass.
 */
import { connect, createServer, type Server, type Socket } from "node:net";

/** Which way is dead. A client's words go `up`, the server's `down`. */
export type Dead = "up" | "down" | "both";

type Line = { client: Socket; server: Socket; dead: Set<"up" | "down">; held: { to: Socket; bytes: Buffer }[] };

export class FreezingProxy {
  readonly #server: Server;
  readonly #lines = new Set<Line>();
  #target: { host: string; port: number };

  private constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#target = { host: hostname, port: Number(port) };
    this.#server = createServer((client) => this.#pass(client));
  }

  static async listen(target: string): Promise<FreezingProxy> {
    const proxy = new FreezingProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  /** The proxy's own address in place of the target's. */
  through(url: string): string {
    const changed = new URL(url);
    const address = this.#server.address();
    if (typeof address !== "object" || !address) throw new Error("the proxy is closed");
    changed.hostname = "127.0.0.1";
    changed.port = String(address.port);
    return changed.href;
  }

  /** The lines that are up now go dead, this way or both; nobody is told. */
  freeze(dead: Dead): void {
    for (const line of this.#lines)
      for (const way of dead === "both" ? (["up", "down"] as const) : [dead]) line.dead.add(way);
  }

  /** They carry again, and what was held back arrives at last. */
  thaw(): void {
    for (const line of this.#lines) {
      line.dead.clear();
      for (const { to, bytes } of line.held.splice(0)) to.write(bytes);
    }
  }

  async close(): Promise<void> {
    for (const { client, server } of this.#lines) {
      client.destroy();
      server.destroy();
    }
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(client: Socket): void {
    const server = connect(this.#target);
    const line: Line = { client, server, dead: new Set(), held: [] };
    this.#lines.add(line);
    const carry = (from: Socket, to: Socket, way: "up" | "down") => {
      from.on("data", (bytes: Buffer) => {
        if (line.dead.has(way)) line.held.push({ to, bytes });
        else to.write(bytes);
      });
      // The end of a dead line is not heard at its other end either.
      from.on("error", () => undefined);
      from.on("close", () => {
        if (!line.dead.has(way)) to.destroy();
      });
    };
    carry(client, server, "up");
    carry(server, client, "down");
  }
}
