/**
 * `gantry host run`: the daemon in the foreground. The first SIGTERM or SIGINT leaves in good order, the second at once;
 * a service manager that kills it loses nothing either.
 */
import { readIdentity, readSettings, stateDirFrom, statePaths } from "../config.ts";
import type { Obstacle } from "../disk-room.ts";
import { notBegun } from "../host-status.ts";
import { holdStateFolder, serveLocalApi } from "../local-api.ts";
import { createLogs } from "../logs.ts";
import { type Host, startHost } from "../main.ts";
import { CommandFailed } from "./output.ts";

export type RunOptions = { allowProcessMode?: true; removeWorkersOnExit?: true; state?: string };

/** Saving every session before leaving may not take longer than this; after it the workers stay for the next daemon. */
const LEAVE_DEADLINE_MS = 25_000;
/** Exit code when the control plane has removed this host: a supervisor need not try again. */
const EXIT_GONE = 78;

export async function runCommand(options: RunOptions): Promise<void> {
  const { env } = process;
  const paths = statePaths(stateDirFrom(options.state, env));
  const identity = readIdentity(paths);
  if (!identity) throw new CommandFailed(`${paths.root} has not joined a control plane: gantry host join <url>`);
  const settings = readSettings(paths, env, options.allowProcessMode ? { allowProcessMode: true } : {});
  const { logger, setLevel } = createLogs({ level: settings.logLevel });
  let release: () => void;
  try {
    release = holdStateFolder(paths);
  } catch (error) {
    throw new CommandFailed(error instanceof Error ? error.message : String(error));
  }
  if (settings.allowProcessMode)
    logger.warn("process mode is allowed: such workers have NO isolation from this machine");

  const over = Promise.withResolvers<{ why: string; exitCode: number }>();
  let host: Host | undefined;
  let obstacle: Obstacle | undefined;
  const api = await serveLocalApi(paths, {
    status: () => host?.status() ?? notBegun(identity, obstacle),
    look: () => void host?.look(),
    drain: () => void drained(host).then(() => over.resolve({ why: "drained", exitCode: 0 })),
  });
  onSignals(() => over.resolve({ why: "signal", exitCode: 0 }));
  const begun = startHost(
    { paths, identity, settings, env },
    {
      logger,
      setLogLevel: setLevel,
      ended: ({ name, reason }) => over.resolve({ why: `${name}: ${reason}`, exitCode: EXIT_GONE }),
      waiting: (why) => {
        obstacle = why;
        logger.error({ fix: why.fix }, "the host cannot begin before there is room on its disk");
      },
    },
  ).then((started) => {
    host = started;
  });

  const { why, exitCode } = await Promise.race([over.promise, begun.then(() => over.promise)]);
  logger.info({ why }, "the host daemon ends");
  if (options.removeWorkersOnExit && why === "signal")
    await within(LEAVE_DEADLINE_MS, host?.cancelAll("the host is shut down"));
  await host?.close();
  api.close();
  api.closeAllConnections();
  release();
  process.exit(exitCode);
}

function onSignals(leave: () => void): void {
  let asked = 0;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (++asked > 2) process.exit(130);
      leave();
    });
  }
}

const drained = async (host: Host | undefined): Promise<void> => host?.drain("drained by the operator");

async function within(limitMs: number, work: Promise<void> | undefined): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
