/** `gantry host toolkit install <provider…>`: the agent CLIs, from their own lockfiles, into the host's state folder. */
import { type StatePaths, stateDirFrom, statePaths } from "../config.ts";
import { askDaemon, runningDaemon } from "../local-api.ts";
import { type CliPackage, installClis } from "../toolkit/clis.ts";
import { prepareToolkit } from "../toolkit/toolkit.ts";
import { CommandFailed, say } from "./output.ts";

export async function toolkitInstallCommand(providers: CliPackage[], options: { state?: string }): Promise<void> {
  const paths = statePaths(stateDirFrom(options.state, process.env));
  const { toolkit: dir } = paths;
  try {
    await prepareToolkit({ dir });
    await installClis({ dir, providers, onLine: (line) => process.stderr.write(`${line}\n`) });
  } catch (error) {
    throw new CommandFailed(error instanceof Error ? error.message : String(error));
  }
  say(`Installed: ${providers.join(", ")}.`);
  await tellDaemon(paths);
}

/** A daemon that runs tells the pool at once; without this it would within a minute. */
async function tellDaemon(paths: StatePaths): Promise<void> {
  if (!runningDaemon(paths)) return;
  try {
    await askDaemon(paths, "POST", "/look");
  } catch (error) {
    // Not answering yet, or not any more: its next facts say it.
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`The running daemon was not told (${why}); it notices within a minute.\n`);
  }
}
