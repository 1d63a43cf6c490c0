/** `gantry host toolkit install <provider…>`: the agent CLIs, from their own lockfiles, into the host's state folder. */
import { stateDirFrom, statePaths } from "../config.ts";
import { type CliPackage, installClis } from "../toolkit/clis.ts";
import { prepareToolkit } from "../toolkit/toolkit.ts";
import { CommandFailed, say } from "./output.ts";
import { tellDaemon } from "./tell-daemon.ts";

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
