/**
 * The provider starts Codex itself, with the runner's whole environment and out of the run's reach. So what it starts is
 * this: the runner's own Node, which connects its standard streams to a socket, behind which the runner keeps the real
 * Codex that it started the way every program of a run is started.
 *
 *   provider ─ stdio ─ bridge ─ Unix socket ─ runner (reads along) ─ stdio ─ codex app-server
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import os from "node:os";
import path from "node:path";

export type Bridge = {
  /** For the provider's settings. */
  codexPath: string;
  env: Record<string, string>;
  /** The provider's end, once it has started the bridge. */
  connected: Promise<Socket>;
  close: () => Promise<void>;
};

/** Evaluated in the bridge before its script, Codex's arguments, would be looked for; and never gets that far. */
const PROGRAM = `
  import { connect } from "node:net";
  process.chdir("/");
  const runner = connect(process.env.GANTRY_BRIDGE);
  runner.on("error", () => process.exit(1));
  runner.on("close", () => process.exit(1));
  process.stdin.pipe(runner).pipe(process.stdout);
  await new Promise(() => {});
`;

/** Listens for one bridge. @throws when the temporary folder cannot be written to */
export async function openBridge(): Promise<Bridge> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "gantry-"));
  const socketPath = path.join(dir, "codex");
  const server = createServer();
  const connected = new Promise<Socket>((resolve) => {
    server.once("connection", (socket) => {
      server.close();
      resolve(socket);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(socketPath, resolve);
  });
  return {
    codexPath: process.execPath,
    env: {
      NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PROGRAM)}`,
      GANTRY_BRIDGE: socketPath,
    },
    connected,
    close: async () => {
      server.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
