/**
 * `providerOptions` to settings of the provider. An allow-list: everything here is safe to be chosen by whoever may start
 * a run; paths of programs, environments, configuration and MCP servers are not.
 */
import type { CodexAppServerSettings } from "ai-sdk-provider-codex-cli";
import { chosenOptions, type OptionReaders } from "../chosen-options.ts";

/**
 * How freely the agent works. `bypass` is the default, because the container around it is sealed; `ask` sends every command
 * that is not known to be harmless, and every change, to the people of the session.
 */
const APPROVAL_POLICIES = { bypass: "never", ask: "untrusted" } as const;

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
const SUMMARIES = ["auto", "concise", "detailed", "none"] as const;

const READERS: OptionReaders<CodexAppServerSettings> = {
  permissionMode: (value) => {
    const policy = Object.entries(APPROVAL_POLICIES).find(([name]) => name === value)?.[1];
    return policy && { approvalPolicy: policy };
  },
  effort: (value) => {
    const effort = EFFORTS.find((effort) => effort === value);
    return effort && { effort };
  },
  reasoningSummary: (value) => {
    const summary = SUMMARIES.find((summary) => summary === value);
    return summary && { summary };
  },
  appendSystemPrompt: (value) => (typeof value === "string" ? { developerInstructions: value } : undefined),
  // Read by the session, which puts it into the order's own field.
  timeoutMs: () => ({}),
};

/** The settings that the options ask for, and the names of options that were not understood. */
export const readOptions = (
  options: Readonly<Record<string, unknown>> | undefined,
): { settings: Partial<CodexAppServerSettings>; ignored: string[] } => chosenOptions(READERS, options);
