/**
 * OpenCode's server, on a port and with a password of its own. It takes seconds to start, so one that ended its run in
 * good order is kept for the next run that wants the same.
 */
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import type { AdapterContext } from "../adapter.ts";

export type OpencodeServer = {
  child: ChildProcess;
  password: string;
  /** Undefined: it ended, or the run did, before it listened. */
  url: string | undefined;
  /** Its last words, as soon as it has gone, whatever the reason. */
  exited: Promise<string>;
  stop: () => void;
};

/** Two orders that differ in nothing but the password can be served by the same server. */
type ServerOrder = { binary: string; cwd: string; env: Readonly<Record<string, string>>; password: string };

const OUTPUT_BYTES = 4_000;

/** To OpenCode itself, port 0 means 4096, which another run of this machine may have. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

async function startServer(
  { binary, cwd, env, password }: ServerOrder,
  context: Pick<AdapterContext, "spawn" | "signal">,
): Promise<OpencodeServer> {
  const port = await freePort();
  const args = ["serve", "--hostname", "127.0.0.1", "--port", String(port)];
  const secret = { OPENCODE_SERVER_PASSWORD: password };
  const child = context.spawn(binary, args, { cwd, env: { ...env, ...secret }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const listening = new Promise<string>((resolve) => {
    for (const stream of [child.stdout, child.stderr])
      stream?.on("data", (part: Buffer) => {
        output = (output + part.toString("utf8")).slice(-OUTPUT_BYTES);
        const [, url] = /listening on (http:\/\/\S+)/.exec(output) ?? [];
        if (url) resolve(url);
      });
  });
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => {
      const how = signal ? `was terminated by signal ${signal}` : `ended with code ${code}`;
      setImmediate(() => resolve([`OpenCode ${how}.`, output.trim()].filter(Boolean).join("\n")));
    });
  });
  const { signal } = context;
  const left = new Promise<undefined>((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  const url = await Promise.race([listening, left, exited.then(() => undefined)]);
  return { child, password, url, exited, stop: () => void child.kill("SIGTERM") };
}

/** At most one server, between two runs. */
export class KeptServer {
  #kept: { order: string; server: OpencodeServer } | undefined;

  /** The kept server when it is what is ordered, given to the run; otherwise a new one, and the kept one ends. */
  async take(order: ServerOrder, context: Pick<AdapterContext, "spawn" | "signal" | "adopt">): Promise<OpencodeServer> {
    const kept = this.#kept;
    this.#kept = undefined;
    if (kept?.order === nameOf(order)) {
      context.adopt(kept.server.child);
      return kept.server;
    }
    kept?.server.stop();
    return startServer(order, context);
  }

  /** Keeps it, unless it has gone. */
  keep(order: ServerOrder, server: OpencodeServer, context: Pick<AdapterContext, "release">): void {
    const { exitCode, signalCode } = server.child;
    if (exitCode !== null || signalCode !== null) return;
    context.release(server.child);
    const kept = { order: nameOf(order), server };
    this.#kept = kept;
    server.child.once("exit", () => {
      if (this.#kept === kept) this.#kept = undefined;
    });
  }

  close(): void {
    this.#kept?.server.stop();
    this.#kept = undefined;
  }
}

function nameOf({ binary, cwd, env }: ServerOrder): string {
  return JSON.stringify([binary, cwd, env]);
}
