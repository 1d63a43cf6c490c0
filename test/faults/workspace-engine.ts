/** The workspace engine in processes of its own, which can be killed, and the store that they reach over HTTP. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { RestoreInput, SyncInput, SyncResult } from "../../executor-host/workspace/port.ts";
import type { StorePeer } from "../executor-host/workspace/store-peer.ts";

const CHILD = fileURLToPath(new URL("./workspace-child.mjs", import.meta.url));
const PRELOAD = new URL("./kill-at-call.mjs", import.meta.url).href;

/** Where in a request: the store has not done it, has done it, or has answered it. */
export const MOMENTS = ["asked", "done", "answered"] as const;
export type Moment = (typeof MOMENTS)[number];

export class StoreServer {
  readonly #server: Server;
  onRequest: ((moment: Moment) => void) | undefined;

  constructor(peer: StorePeer) {
    this.#server = createServer(async (request, response) => {
      const body: Buffer[] = [];
      for await (const part of request) body.push(part as Buffer);
      this.onRequest?.("asked");
      const { method = "GET", url = "" } = request;
      const headers = request.headers as Record<string, string>;
      const init = { method, headers, ...(method === "GET" ? {} : { body: Buffer.concat(body) }) };
      const answer = await peer.fetch(`http://edge${url}`, init);
      this.onRequest?.("done");
      await send(response, answer);
      this.onRequest?.("answered");
    });
  }

  async open(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/store`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

async function send(response: ServerResponse, answer: Response): Promise<void> {
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  const sent = once(response, "close");
  response.end(Buffer.from(await answer.arrayBuffer()));
  await sent;
}

export type Work = { verb: "sync"; input: SyncInput } | { verb: "restore"; input: RestoreInput };
/** `calls`: those that changed the file system, by name. */
export type Did = { result: SyncResult; calls: string[] };

export type EngineOptions = {
  storeUrl: string;
  /** Whose process it is; absent: ours. */
  uid?: number | undefined;
  /** A module that is loaded before the engine: a bug to plant. */
  plant?: string | undefined;
};

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #storeUrl: string;
  readonly #answers: AsyncIterator<string>;
  readonly #closed: Promise<unknown[]>;

  constructor({ storeUrl, uid, plant }: EngineOptions) {
    this.#storeUrl = storeUrl;
    const imports = [...(plant === undefined ? [] : [plant]), PRELOAD].flatMap((each) => ["--import", each]);
    const as = uid === undefined ? {} : { uid, gid: uid };
    this.#child = spawn(process.execPath, [...imports, CHILD], { stdio: ["pipe", "pipe", "inherit"], ...as });
    // Its input is closed at once when it is killed.
    this.#child.stdin?.on("error", () => undefined);
    this.#closed = once(this.#child, "close");
    this.#answers = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** Does `work`; undefined when it was killed meanwhile, as it is before its call number `killAt`. Throws what the engine threw. */
  async run({ verb, input }: Work, killAt = 0): Promise<Did | undefined> {
    const { store, ...rest } = input;
    const asked = { verb, killAt, input: { ...rest, url: this.#storeUrl, epoch: store.epoch } };
    this.#child.stdin?.write(`${JSON.stringify(asked)}\n`);
    const { value, done } = await this.#answers.next();
    if (done) {
      const [code, signal] = await this.#closed;
      if (signal === "SIGKILL") return undefined;
      throw new Error(`the engine's process ended with ${code ?? signal}`);
    }
    const answer = JSON.parse(value) as Did | { failed: string };
    if ("failed" in answer) throw new Error(answer.failed);
    return answer;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async end(): Promise<void> {
    this.kill();
    await this.#closed;
  }
}
