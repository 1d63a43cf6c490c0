/** How OpenCode is configured, and why. Given in its environment, which stands above every file of the workspace. */

/** How freely the agent works: everything, because the container around it is sealed; or people are asked. */
export type PermissionMode = "bypass" | "ask";

const PERMISSIONS = {
  bypass: { "*": "allow" },
  ask: { "*": "allow", edit: "ask", bash: "ask", webfetch: "ask", external_directory: "ask", doom_loop: "ask" },
} as const satisfies Record<PermissionMode, Record<string, "allow" | "ask">>;

/** The host's proxy replaces it; the client only wants to see that there is one. */
const PLACEHOLDER_KEY = "gantry-adds-the-key";

export function opencodeConfig(model: string, providerUrl: string, mode: PermissionMode): object {
  const name = `gantry/${model}`;
  return {
    model: name,
    // For titles: the same model, because it is the only one that we know to be there.
    small_model: name,
    autoupdate: false,
    share: "disabled",
    enabled_providers: ["gantry"],
    // Both would be fetched from hosts that a worker cannot reach.
    lsp: false,
    formatter: false,
    permission: PERMISSIONS[mode],
    provider: {
      gantry: {
        npm: "@ai-sdk/openai-compatible",
        name: "Gantry",
        options: { baseURL: providerUrl, apiKey: PLACEHOLDER_KEY },
        models: { [model]: { reasoning: true, tool_call: true } },
      },
    },
  };
}

export function opencodeEnvironment(
  base: Readonly<Record<string, string>>,
  { folder, ripgrep, config }: { folder: string; ripgrep: string; config: object },
): Record<string, string> {
  return {
    ...base,
    PATH: `${base.PATH ?? "/usr/bin:/bin"}:${ripgrep}`,
    // Conversations; what can be had again (caches) stays outside of the workspace.
    XDG_DATA_HOME: `${folder}/data`,
    XDG_STATE_HOME: `${folder}/state`,
    OPENCODE_CONFIG_CONTENT: JSON.stringify(config),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    OPENCODE_DISABLE_DEFAULT_PLUGINS: "1",
    OPENCODE_ENABLE_QUESTION_TOOL: "1",
    npm_config_offline: "true",
  };
}
