/** OpenCode's server as a program of the run, on a port and with a password of its own. */
import { createServer } from "node:net";
import type { AdapterContext } from "../adapter.ts";

export type OpencodeServer = {
  /** Undefined: it ended, or the run did, before it listened. */
  url: string | undefined;
  /** Its last words, as soon as it has gone, whatever the reason. */
  exited: Promise<string>;
  stop: () => void;
};

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

export async function startServer(
  { binary, cwd, env }: { binary: string; cwd: string; env: Record<string, string> },
  context: AdapterContext,
): Promise<OpencodeServer> {
  const port = await freePort();
  const args = ["serve", "--hostname", "127.0.0.1", "--port", String(port)];
  const child = context.spawn(binary, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
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
  return { url, exited, stop: () => void child.kill("SIGTERM") };
}
