/**
 * The runner: the process inside the container that drives a provider (ARCHITECTURE §7). It serves its API on a Unix
 * socket, keeps every event on disk first, and reaches models only through the host's egress proxy.
 *
 *   SIGTERM, SIGINT: active runs are broken off, their ends are spooled, then the process leaves.
 */
import { chmodSync, rmSync } from "node:fs";
import { forgetImportedExits } from "./adapters/opencode/own-exit.ts";
import { createAdapters } from "./adapters/registry.ts";
import { createRunnerServer } from "./api/server.ts";
import { systemClock } from "./clock.ts";
import { messageOf } from "./failure.ts";
import { proxyEnvironment, startForwarder } from "./forwarder.ts";
import { parseOptions, type RunnerOptions, USAGE } from "./options.ts";
import { printOnlyUnexpectedWarnings } from "./warnings.ts";

async function main(options: RunnerOptions): Promise<void> {
  const forwarder = options.egressSocketPath === undefined ? undefined : await startForwarder(options.egressSocketPath);
  const { server, runs } = createRunnerServer({
    clock: systemClock,
    spoolDir: options.spoolDir,
    adapters: createAdapters({
      ...options,
      childEnv: { ...(forwarder ? proxyEnvironment(forwarder.port) : {}), ...options.childEnv },
    }),
    providerUrl: (provider) => forwarder && `http://127.0.0.1:${forwarder.port}/provider/${provider}`,
  });
  // A runner that was killed leaves its socket's name behind; nobody can be listening on it in this container.
  rmSync(options.socketPath, { force: true });
  server.listen(options.socketPath, () => {
    // The daemon may run under another user than this container; who gets at the folder is the daemon's choice.
    chmodSync(options.socketPath, 0o666);
    console.log(`runner: listening on ${options.socketPath}`);
  });
  forgetImportedExits();
  let leaving = false;
  const leave = async () => {
    if (leaving) return;
    leaving = true;
    await runs.stopAll();
    await forwarder?.close();
    // Streams end by themselves after run.finished; a reader that does not take the rest finds it in the spool.
    server.close(() => process.exit(0));
    server.closeIdleConnections();
    systemClock.after(1_000, () => process.exit(0));
  };
  process.on("SIGTERM", () => void leave());
  process.on("SIGINT", () => void leave());
}

/** In a toolkit `runner.mjs` stands beside the CLIs. */
const besideMe = import.meta.dirname;

printOnlyUnexpectedWarnings();

try {
  await main(parseOptions(process.argv.slice(2), besideMe));
} catch (error) {
  console.error(`runner: ${messageOf(error)}\n${USAGE}`);
  process.exit(2);
}
