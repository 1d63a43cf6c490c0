/**
 * The agents that this host has: ours, whose programs the toolkit installs, and the operator's own, from the toolkit's
 * acp-agents.json, which the daemon writes from its settings.
 *
 *   { "<name>": { "command": "…", "args": ["…"], "env": { "NAME": "…" } } }
 *
 * In the operator's words, `{provider:openai}` is the URL at which that provider's model is reached (the host adds the key),
 * `{folder}` the agent's own folder in the workspace, `{workspace}`, `{toolkit}` and `{model}` are what they say.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { ACP_AGENTS_FILE, acpAgentsSchema } from "#protocol/acp-agents.ts";
import { claudeBinary } from "../claude-code/binary.ts";
import { claudeEnvironment } from "../claude-code/environment.ts";
import { codexBinary } from "../codex-app-server/binary.ts";
import { opencodeBinary, ripgrepFolder } from "../opencode/binary.ts";
import { opencodeConfig, opencodeEnvironment } from "../opencode/configuration.ts";
import { opencodeTrouble } from "./failures.ts";

export type Place = {
  toolkitDir: string;
  workspace: string;
  /** The agent's own, in the workspace. */
  folder: string;
  /** Where a provider's model is reached. */
  providerUrl: (name: string) => string;
  model: string | undefined;
  asks: boolean;
  environment: Record<string, string>;
};
export type Command = { command: string; args: string[]; env: Record<string, string> };
export type Agent = {
  name: string;
  /** Files without which it cannot be started. */
  needs: readonly string[];
  /** The toolkit's packages that bring them. */
  packages: readonly string[];
  command: (place: Place) => Command;
  /** Takes so long to start that its program is kept for the next run; it does all its work by itself. */
  stays?: boolean;
  /** Reads a line of what it prints: the words of a request that the model did not answer. */
  troubleIn?: (line: string) => string | undefined;
};

/** For agents that talk to OpenAI, as for our own adapters of them. */
const OPENAI_MODEL = "gpt-5.5";
const PLACEHOLDER_KEY = "gantry-adds-the-key";

/** In the order in which one is chosen when a run names none: the operator's own first. @throws for a damaged file */
export function agentsOf(toolkitDir: string): readonly Agent[] {
  return [...operatorAgents(toolkitDir), claude(toolkitDir), opencode(toolkitDir), codex(toolkitDir)];
}

export function isInstalled({ needs }: Agent): boolean {
  return needs.every((file) => existsSync(file));
}

function claude(toolkitDir: string): Agent {
  const binary = claudeBinary(toolkitDir);
  const script = scriptOf(toolkitDir, "claude-agent-acp");
  return {
    name: "claude-agent-acp",
    needs: [script, binary],
    packages: ["claude-agent-acp", "claude-code"],
    command: ({ folder, providerUrl, environment, model }) => ({
      command: process.execPath,
      args: [script],
      env: {
        ...claudeEnvironment(environment, { configDir: folder, providerUrl: providerUrl("anthropic") }),
        CLAUDE_CODE_EXECUTABLE: binary,
        ...(model === undefined ? {} : { ANTHROPIC_MODEL: model }),
      },
    }),
  };
}

function opencode(toolkitDir: string): Agent {
  const binary = opencodeBinary(toolkitDir);
  return {
    name: "opencode",
    needs: [binary],
    packages: ["opencode"],
    stays: true,
    troubleIn: opencodeTrouble,
    command: ({ folder, providerUrl, environment, model, asks }) => {
      const config = opencodeConfig(model ?? OPENAI_MODEL, providerUrl("openai"), asks ? "ask" : "bypass");
      const env = opencodeEnvironment(environment, {
        folder,
        ripgrep: ripgrepFolder(toolkitDir),
        config,
      });
      // Its question tool waits for ever when it is spoken to over this protocol.
      return {
        command: binary,
        args: ["acp", "--print-logs", "--log-level", "ERROR"],
        env: { ...env, OPENCODE_ENABLE_QUESTION_TOOL: "0" },
      };
    },
  };
}

function codex(toolkitDir: string): Agent {
  const binary = codexBinary(toolkitDir);
  const script = scriptOf(toolkitDir, "codex-acp");
  return {
    name: "codex-acp",
    needs: [script, binary],
    packages: ["codex-acp", "codex-app-server"],
    command: ({ folder, providerUrl, environment, model }) => ({
      command: process.execPath,
      args: [script],
      env: {
        ...environment,
        CODEX_HOME: folder,
        CODEX_PATH: binary,
        CODEX_CONFIG: JSON.stringify(codexConfig(providerUrl("openai"), model)),
        MODEL_PROVIDER: "gantry",
        GANTRY_KEY: PLACEHOLDER_KEY,
        // Its own sandbox needs what a sealed container does not give; the container is the sandbox.
        INITIAL_AGENT_MODE: "agent-full-access",
        NO_BROWSER: "1",
        RUST_LOG: "error",
      },
    }),
  };
}

function codexConfig(baseUrl: string, model: string | undefined): object {
  const retries = { request_max_retries: 2, stream_max_retries: 2 };
  return {
    model: model ?? OPENAI_MODEL,
    model_provider: "gantry",
    model_providers: {
      gantry: { name: "Gantry", base_url: baseUrl, wire_api: "responses", env_key: "GANTRY_KEY", ...retries },
    },
    check_for_update_on_startup: false,
    analytics: { enabled: false },
    features: { plugins: false, unbounded_connection_retries: false, default_mode_request_user_input: true },
    tools: { update_plan: { enabled: true } },
  };
}

function operatorAgents(toolkitDir: string): Agent[] {
  let text: string;
  try {
    text = readFileSync(path.join(toolkitDir, ACP_AGENTS_FILE), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return Object.entries(acpAgentsSchema.parse(JSON.parse(text))).map(([name, { command, args, env }]) => ({
    name,
    needs: [],
    packages: [],
    command: (place) => ({
      command: filledIn(command, place),
      args: args.map((text) => filledIn(text, place)),
      env: {
        ...place.environment,
        ...Object.fromEntries(Object.entries(env).map(([key, text]) => [key, filledIn(text, place)])),
      },
    }),
  }));
}

/** What is not known stays as it is: braces may mean something to the agent. */
function filledIn(text: string, { toolkitDir, workspace, folder, providerUrl, model }: Place): string {
  const known: Record<string, string> = { toolkit: toolkitDir, workspace, folder, model: model ?? "" };
  return text.replace(/\{(provider:)?([a-z0-9-]+)\}/g, (whole, provider, name: string) =>
    provider ? providerUrl(name) : (known[name] ?? whole),
  );
}

function scriptOf(toolkitDir: string, name: string): string {
  return path.join(toolkitDir, name, "node_modules", "@agentclientprotocol", name, "dist", "index.js");
}
