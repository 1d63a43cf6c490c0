/**
 * Between a client that cannot send a token and the Worker: adds the token, and cuts the connection where the test wants
 * it, as a network does. `/` is an empty page, for a browser to stand on.
 */
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export class CuttingProxy {
  /** After how many bytes of the body the next answers are cut; then no more. */
  readonly cuts: number[] = [];
  /** `Last-Event-ID` of every request that went through, in order. */
  readonly lastEventIds: (string | undefined)[] = [];
  readonly statuses: number[] = [];
  readonly #target: URL;
  readonly #token: string;
  readonly #server: Server;

  private constructor(target: string, token: string) {
    this.#target = new URL(target);
    this.#token = token;
    this.#server = createServer((incoming, answer) => this.#pass(incoming, answer));
  }

  static async listen(target: string, token: string): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target, token);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(incoming: IncomingMessage, answer: ServerResponse): void {
    if (!incoming.url?.startsWith("/api/"))
      return void answer.setHeader("content-type", "text/html").end("<!doctype html>");
    const lastEventId = incoming.headers["last-event-id"];
    this.lastEventIds.push(typeof lastEventId === "string" ? lastEventId : undefined);
    const { origin: _origin, ...headers } = incoming.headers;
    const onward = request(new URL(incoming.url, this.#target), {
      method: incoming.method,
      headers: { ...headers, host: this.#target.host, authorization: `Bearer ${this.#token}` },
    });
    onward.on("response", (response) => {
      this.statuses.push(response.statusCode ?? 0);
      answer.writeHead(response.statusCode ?? 502, response.headers);
      let left = this.cuts.shift() ?? Number.POSITIVE_INFINITY;
      response.on("data", (bytes: Buffer) => {
        const part = bytes.subarray(0, Math.min(left, bytes.length));
        left -= part.length;
        // Cut once the client has it, or the last bytes would go down with the connection.
        answer.write(part, () => left === 0 && answer.destroy());
      });
      response.on("end", () => answer.end());
      response.on("error", () => answer.destroy());
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    incoming.pipe(onward);
  }
}
