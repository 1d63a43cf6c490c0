/**
 * `providerOptions` to settings of the provider. An allow-list: everything here is safe to be chosen by whoever may start
 * a run; paths of programs, environments, hooks and MCP servers are not.
 */
import type { ClaudeCodeSettings } from "ai-sdk-provider-claude-code";
import { chosenOptions, type OptionReaders } from "../chosen-options.ts";

/**
 * How freely the agent works. `bypass` is the default, because the container around it is sealed; `ask` sends what Claude
 * Code would ask its user to the people of the session.
 */
const PERMISSION_MODES = {
  bypass: "bypassPermissions",
  ask: "default",
  acceptEdits: "acceptEdits",
  plan: "plan",
} as const satisfies Record<string, ClaudeCodeSettings["permissionMode"]>;

const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;

const READERS: OptionReaders<ClaudeCodeSettings> = {
  permissionMode: (value) => {
    const mode = Object.entries(PERMISSION_MODES).find(([name]) => name === value)?.[1];
    return mode && { permissionMode: mode };
  },
  appendSystemPrompt: (value) =>
    typeof value === "string" ? { systemPrompt: { type: "preset", preset: "claude_code", append: value } } : undefined,
  allowedTools: (value) => (isStrings(value) ? { allowedTools: value } : undefined),
  disallowedTools: (value) => (isStrings(value) ? { disallowedTools: value } : undefined),
  maxTurns: (value) => (isPositiveInteger(value) ? { maxTurns: value } : undefined),
  maxThinkingTokens: (value) =>
    isPositiveInteger(value) ? { thinking: { type: "enabled", budgetTokens: value } } : undefined,
  effort: (value) => {
    const effort = EFFORTS.find((effort) => effort === value);
    return effort && { effort };
  },
  fallbackModel: (value) => (typeof value === "string" ? { fallbackModel: value } : undefined),
  maxBudgetUsd: (value) => (typeof value === "number" && value > 0 ? { maxBudgetUsd: value } : undefined),
  // Read by the session, which puts it into the order's own field.
  timeoutMs: () => ({}),
};

/** The settings that the options ask for, and the names of options that were not understood. */
export const readOptions = (
  options: Readonly<Record<string, unknown>> | undefined,
): { settings: Partial<ClaudeCodeSettings>; ignored: string[] } => chosenOptions(READERS, options);

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isPositiveInteger(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) > 0;
}
