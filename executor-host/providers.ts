/** Which providers can work here and now: its CLI is installed, and a key is there for the egress proxy to add. */
import type { HostFacts } from "#protocol/messages.ts";
import type { StatePaths } from "./config.ts";
import type { UpstreamTable } from "./egress/credentials.ts";
import { CLI_PROVIDERS, toolkitReadiness } from "./toolkit/clis.ts";
import { installCommand } from "./toolkit/install-command.ts";

/** @returns a state per provider that this host knows; a reason and one fix wherever it is not `ready` */
export async function providerReadiness(
  paths: Pick<StatePaths, "root" | "toolkit">,
  upstreams: UpstreamTable,
): Promise<HostFacts["providers"]> {
  const clis = await toolkitReadiness(paths.toolkit);
  const providers: HostFacts["providers"] = { scripted: { state: "ready" } };
  for (const provider of CLI_PROVIDERS) {
    const cli = clis[provider];
    const upstream = upstreams.get(provider);
    if (cli.readiness !== "ready") {
      providers[provider] = { state: cli.readiness, reason: cli.reason, fix: installCommand(provider, paths.root) };
    } else if (upstream?.state === "unready") {
      const fix = "Set it in the daemon's environment and start the daemon again.";
      providers[provider] = { state: "environment_not_ready", version: cli.version, reason: upstream.message, fix };
    } else {
      providers[provider] = { state: "ready", version: cli.version };
    }
  }
  return providers;
}
