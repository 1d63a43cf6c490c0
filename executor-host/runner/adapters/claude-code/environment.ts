/**
 * What Claude Code gets as its environment, and why each variable is there. Later ones win over what the daemon gave
 * with --env only where our way of running depends on them.
 */
/** The host's proxy replaces it; the CLI only wants to see that there is one. */
export const PLACEHOLDER_KEY = "gantry-adds-the-key";

export function claudeEnvironment(
  base: Readonly<Record<string, string>>,
  { configDir, providerUrl }: { configDir: string; providerUrl: string },
): Record<string, string> {
  return {
    // Its own default is ten retries with growing pauses: a wrong key would look like a hanging run.
    CLAUDE_CODE_MAX_RETRIES: "3",
    ...base,
    ANTHROPIC_BASE_URL: providerUrl,
    ANTHROPIC_API_KEY: PLACEHOLDER_KEY,
    CLAUDE_CONFIG_DIR: configDir,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    // Newer models get no to-do tool without these, and only TodoWrite says the whole list at once.
    CLAUDE_CODE_ENABLE_TODO_TOOLS: "1",
    CLAUDE_CODE_ENABLE_TASKS: "0",
    ENABLE_TOOL_SEARCH: "false",
    // A run is one turn, and the CLI ends with it: what is in the background would be cut off, unheard (decision 16).
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
    // The container is the sandbox; without this, root (process mode) may not run with permissions bypassed.
    IS_SANDBOX: "1",
  };
}
