/** Where the operator's own CLIs keep what they sign in with, on Linux. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Environment } from "../config.ts";
import type { Vendor } from "../egress/credentials.ts";
import { type Reading, readLocal } from "./read.ts";
import type { Reference } from "./references.ts";

/** One that is there; without `reference` it is known but cannot be used here, and `why` says so. */
export type LocalCredential = { owner: string } & (
  | { reference: Reference; reading: Reading }
  | { name: string; why: string }
);

/** Files before variables: the daemon may have another environment than whoever asks. */
export function findLocal(env: Environment, home: string, now: number): LocalCredential[] {
  const known = [...fileReferences(env, home), ...VARIABLES].map(([owner, reference]) => {
    return { owner, reference, reading: readLocal(reference, env, now) };
  });
  const there = known.filter(({ reading }) => reading.state === "ready" || !reading.absent);
  return [...there, ...opencodeEntries(env, home, now)];
}

const VARIABLES: readonly (readonly [string, Reference])[] = (
  [
    ["Claude Code", "ANTHROPIC_API_KEY", "anthropic-key"],
    ["Claude Code", "ANTHROPIC_AUTH_TOKEN", "anthropic-token"],
    ["Claude Code", "CLAUDE_CODE_OAUTH_TOKEN", "claude-sign-in"],
    ["Codex", "OPENAI_API_KEY", "openai-key"],
  ] as const
).map(([owner, variable, kind]) => [owner, { name: variable, kind, at: { variable } }]);

function fileReferences(env: Environment, home: string): [string, Reference][] {
  const claude = resolve(env.CLAUDE_CONFIG_DIR || join(home, ".claude"), ".credentials.json");
  const codex = resolve(env.CODEX_HOME || join(home, ".codex"), "auth.json");
  return [
    [
      "Claude Code",
      { name: "claude-code", kind: "claude-sign-in", at: { file: claude, field: ["claudeAiOauth", "accessToken"] } },
    ],
    ["Codex", { name: "codex-key", kind: "openai-key", at: { file: codex, field: ["OPENAI_API_KEY"] } }],
    [
      "Codex",
      { name: "codex-chatgpt", kind: "chatgpt-sign-in", at: { file: codex, field: ["tokens", "access_token"] } },
    ],
  ];
}

const OPENCODE_VENDORS: Readonly<Record<string, Vendor>> = { anthropic: "anthropic", openai: "openai" };

/** One per provider of opencode's; API keys of the two vendors can be used, its own sign-ins belong to it. */
function opencodeEntries(env: Environment, home: string, now: number): LocalCredential[] {
  const file = resolve(env.XDG_DATA_HOME || join(home, ".local", "share"), "opencode", "auth.json");
  return Object.entries(readObject(file)).map(([provider, entry]): LocalCredential => {
    const owner = "opencode";
    const name = `opencode-${provider}`;
    const vendor = Object.hasOwn(OPENCODE_VENDORS, provider) ? OPENCODE_VENDORS[provider] : undefined;
    if ((entry as { type?: unknown } | null)?.type !== "api")
      return { owner, name, why: "a sign-in that opencode alone can use" };
    if (!vendor) {
      const why = `no provider of Gantry's talks to ${provider}; add a credential openai-compatible in the portal`;
      return { owner, name, why };
    }
    const reference: Reference = { name, kind: `${vendor}-key`, at: { file, field: [provider, "key"] } };
    return { owner, reference, reading: readLocal(reference, env, now) };
  });
}

/** Empty for a file that is not there or not understood. */
function readObject(file: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch (error) {
    if (error instanceof SyntaxError || (error instanceof Error && "code" in error)) return {};
    throw error;
  }
}
