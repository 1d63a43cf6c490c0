/**
 * How Codex is configured, and why. Given on its command line, so that it stands above a config.toml of the workspace
 * and no file of ours has to be kept right.
 */

/** The app server's arguments. @param providerUrl `http://127.0.0.1:PORT/provider/codex-app-server` */
export function codexArguments(providerUrl: string): string[] {
  const settings: Record<string, string> = {
    model_provider: '"gantry"',
    // No key: the host's egress proxy adds it, and Codex sends none where no variable is named.
    "model_providers.gantry": `{ name = "Gantry", base_url = ${JSON.stringify(providerUrl)}, wire_api = "responses", request_max_retries = 2, stream_max_retries = 2 }`,
    check_for_update_on_startup: "false",
    "analytics.enabled": "false",
    // They are fetched from hosts that a worker cannot reach.
    "features.plugins": "false",
    // Else a model server that is away is waited for without end.
    "features.unbounded_connection_retries": "false",
    // Off unless asked for: the plan tool, and the question tool outside of plan mode.
    "tools.update_plan.enabled": "true",
    "features.default_mode_request_user_input": "true",
    suppress_unstable_features_warning: "true",
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  return [...flags, "app-server", "--listen", "stdio://"];
}

export function codexEnvironment(
  base: Readonly<Record<string, string>>,
  codexHome: string,
): Readonly<Record<string, string>> {
  return { ...base, CODEX_HOME: codexHome, RUST_LOG: "error" };
}
