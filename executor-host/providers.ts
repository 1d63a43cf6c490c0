/** Which providers can work here and now: what drives it is installed, and a key is there for the egress proxy to add. */
import { join } from "node:path";
import type { HostFacts } from "#protocol/messages.ts";
import type { Provider } from "#protocol/vocabulary.ts";
import type { StatePaths } from "./config.ts";
import type { UpstreamTable } from "./egress/credentials.ts";
import { CLI_PROVIDERS, type CliPackage, cliBinary, toolkitReadiness } from "./toolkit/clis.ts";
import { installCommand, quoted } from "./toolkit/install-command.ts";

/** Where a key of any vendor would do. */
const ONE_KEY =
  "Add one under Credentials in the portal, or set it in the environment of the host's daemon and start it again.";

/**
 * @param ownAgents the operator's own of the provider `acp`
 * @param broken why a CLI that is installed does not run; undefined when it does
 * @returns a state per provider that this host knows; a reason and one fix wherever it is not `ready`
 */
export async function providerReadiness(
  paths: Pick<StatePaths, "root" | "toolkit">,
  upstreams: UpstreamTable,
  ownAgents: readonly string[] = [],
  broken: (binary: string) => Promise<string | undefined> = async () => undefined,
): Promise<HostFacts["providers"]> {
  const clis = await toolkitReadiness(paths.toolkit);
  const why = new Map<Provider, string>();
  for (const provider of CLI_PROVIDERS) {
    const cli = clis[provider];
    const words = cli.readiness === "ready" ? await broken(cliBinary(paths.toolkit, provider)) : undefined;
    if (words === undefined || cli.readiness !== "ready") continue;
    why.set(provider, `${provider} ${cli.version} is installed, but ${words}.`);
    // The agents of the other protocol that drive it cannot work either.
    clis[provider] = { readiness: "runtime_unhealthy", reason: why.get(provider) ?? words };
  }
  const providers: HostFacts["providers"] = { scripted: { state: "ready" }, native: nativeReadiness(upstreams) };
  for (const provider of CLI_PROVIDERS) {
    const cli = clis[provider];
    const upstream = upstreams.get(provider);
    if (cli.readiness !== "ready") {
      const install = installCommand(provider, paths.root);
      // What is there at the right version is left alone by installing.
      const fix = why.has(provider) ? `rm -r ${quoted(join(paths.toolkit, provider))} && ${install}` : install;
      providers[provider] = { state: cli.readiness, reason: cli.reason, fix };
    } else if (upstream?.state === "unready") {
      providers[provider] = {
        state: "environment_not_ready",
        version: cli.version,
        reason: upstream.message,
        fix: upstream.fix,
      };
    } else {
      providers[provider] = { state: "ready", version: cli.version };
    }
  }
  providers.acp = acpReadiness(clis, upstreams, ownAgents, paths.root);
  return providers;
}

/** The agents that the toolkit can have: their packages, and whose model they talk to. */
const ACP_AGENTS = [
  { packages: ["claude-code", "claude-agent-acp"], vendor: "anthropic" },
  { packages: ["opencode"], vendor: "openai" },
  { packages: ["codex-app-server", "codex-acp"], vendor: "openai" },
] as const satisfies readonly { packages: readonly CliPackage[]; vendor: string }[];

/** One agent that works is enough. Of the operator's own, nobody but them knows what they need. */
function acpReadiness(
  clis: Awaited<ReturnType<typeof toolkitReadiness>>,
  upstreams: UpstreamTable,
  ownAgents: readonly string[],
  stateDir: string,
): NonNullable<HostFacts["providers"]["acp"]> {
  if (ownAgents.length > 0) return { state: "ready" };
  const state = "environment_not_ready";
  const installed = ACP_AGENTS.filter(({ packages }) => packages.every((name) => clis[name].readiness === "ready"));
  const unhealthy = ACP_AGENTS.flatMap(({ packages }) => packages.map((name) => clis[name])).find(
    ({ readiness }) => readiness === "runtime_unhealthy",
  );
  if (installed.length === 0 && unhealthy?.readiness === "runtime_unhealthy") {
    const fix = "Mend that agent first: its own line says how.";
    return { state: "runtime_unhealthy", reason: unhealthy.reason, fix };
  }
  if (installed.length === 0) {
    const fix = installCommand("claude-agent-acp", stateDir).replace("install", "install claude-code");
    return { state, reason: "No agent of the Agent Client Protocol is installed on this host.", fix };
  }
  const keys = installed.flatMap(({ vendor }) => upstreams.get(vendor) ?? []);
  if (keys.some(({ state }) => state === "ready")) return { state: "ready" };
  const reasons = new Set(keys.flatMap((key) => (key.state === "unready" ? [key.message] : [])));
  return { state, reason: [...reasons].join(" ") || "No model provider is known here.", fix: ONE_KEY };
}

/** The runner's own agent needs no CLI, and talks to whichever vendor a model's name says: one key is enough to begin. */
function nativeReadiness(upstreams: UpstreamTable): NonNullable<HostFacts["providers"]["native"]> {
  const vendors = ["openai", "anthropic"].flatMap((name) => upstreams.get(name) ?? []);
  if (vendors.some(({ state }) => state === "ready")) return { state: "ready" };
  const reasons = vendors.flatMap((vendor) => (vendor.state === "unready" ? [vendor.message] : []));
  return {
    state: "environment_not_ready",
    reason: reasons.join(" ") || "No model provider is known here.",
    fix: ONE_KEY,
  };
}
