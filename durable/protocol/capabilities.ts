/**
 * What each provider can do: one row per adapter of the runner, proved by its contract suite
 * (test/executor-host/runner/adapter-contract.ts). Whoever starts a run may say what it cannot do without.
 */
import type { Provider } from "./vocabulary.ts";

export const CAPABILITIES = [
  /** Asks people for leave before it acts, with `permissionMode: "ask"`. */ "humanLoop",
  /** Asks people questions of its own. */ "questions",
  /** Goes on with an earlier conversation; without it, every run begins a new one, with a warning. */ "resume",
  "todos",
  /** Shows what it thinks, as parts of their own. */ "reasoning",
  /** Says how many tokens a run took. */ "usage",
  /** Takes images with a prompt. */ "images",
  /** Can be stopped in the middle of its work. */ "interrupt",
] as const;
export type Capability = (typeof CAPABILITIES)[number];
export type CapabilityRow = Readonly<Record<Capability, boolean>>;

/** What every coding agent here does. A prompt is text alone, so far. */
const AGENT: CapabilityRow = {
  humanLoop: true,
  questions: true,
  resume: true,
  todos: true,
  reasoning: true,
  usage: true,
  images: false,
  interrupt: true,
};

export const PROVIDER_CAPABILITIES: Readonly<Record<Provider, CapabilityRow>> = {
  "claude-code": AGENT,
  "codex-app-server": AGENT,
  opencode: AGENT,
  native: AGENT,
  // What can be said of whichever agent happens to be there; `ACP_AGENTS` knows some by name.
  acp: { ...AGENT, humanLoop: false, questions: false },
  // Every script begins anew: there is nothing to remember. A parked run goes on, but with the rest of its own script.
  scripted: { ...AGENT, resume: false },
};

/** Agents of `acp` that the contract suite runs. Codex acts without asking there, whatever the mode; OpenCode's questions wait for ever. */
export const ACP_AGENTS: Readonly<Record<string, CapabilityRow>> = {
  "claude-agent-acp": AGENT,
  opencode: { ...AGENT, questions: false },
  "codex-acp": { ...AGENT, humanLoop: false, questions: false },
};

/** What a run of this provider could do. `agent`: of `acp`, by name. */
export function capabilitiesOf(provider: Provider, agent?: string): CapabilityRow {
  const named = provider === "acp" && agent !== undefined && Object.hasOwn(ACP_AGENTS, agent);
  return (named ? ACP_AGENTS[agent] : undefined) ?? PROVIDER_CAPABILITIES[provider];
}

export type Wanted = {
  provider: Provider;
  model?: string | undefined;
  providerOptions?: Readonly<Record<string, unknown>> | undefined;
  requires?: readonly Capability[] | undefined;
};

/**
 * What a run needs and its provider cannot do; such a run is refused before it begins. To be asked is a need of its own: an
 * agent that acts without asking is not what was ordered. A conversation that cannot be resumed is no reason to refuse,
 * unless it is required: a new one is begun, and that is said.
 */
export function missingCapabilities({ provider, model, providerOptions, requires = [] }: Wanted): Capability[] {
  const row = capabilitiesOf(provider, agentName({ model, providerOptions }));
  const needs = new Set<Capability>(requires);
  if (providerOptions?.permissionMode === "ask") needs.add("humanLoop");
  return [...needs].filter((capability) => !row[capability]);
}

/** Which agent of `acp` a run names, in its options or in its model. */
export function agentName({ model, providerOptions }: Pick<Wanted, "model" | "providerOptions">): string | undefined {
  const named = providerOptions?.agent;
  return typeof named === "string" ? named : model?.split("/")[0];
}

export type CapabilityRefusal = {
  ok: false;
  reason: "capability_missing";
  message: string;
  details: { provider: Provider; missing: Capability[]; able: Provider[] };
};

/** Why a run may not begin, with who could do it; undefined when its provider can do all that it needs. */
export function capabilityRefusal(wanted: Wanted): CapabilityRefusal | undefined {
  const missing = missingCapabilities(wanted);
  if (missing.length === 0) return undefined;
  const { provider } = wanted;
  const able = providersWith(missing);
  const fix =
    able.length > 0 ? `Choose another provider: ${able.join(", ")}.` : "No provider can do this yet; leave it out.";
  const message = `${provider} cannot do what this run needs (${missing.join(", ")}). ${fix}`;
  return { ok: false, reason: "capability_missing", message, details: { provider, missing, able } };
}

/** Providers that can do all of it, to be named to whoever was refused. */
function providersWith(needs: readonly Capability[]): Provider[] {
  return (Object.keys(PROVIDER_CAPABILITIES) as Provider[]).filter((provider) =>
    needs.every((need) => PROVIDER_CAPABILITIES[provider][need]),
  );
}
