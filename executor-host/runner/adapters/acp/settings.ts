/** `providerOptions` and the model's name: which agent, how freely it works. An allow-list, as every provider's. */

/**
 * `bypass` is the default, because the container around the agent is sealed: what it asks leave for is granted. With `ask`
 * the people of the session decide.
 */
export type PermissionMode = "bypass" | "ask";

export type AcpSettings = { agent?: string; permissionMode: PermissionMode; model?: string };

/** @param agents names that are known here; `model` may begin with one, as in `opencode/gpt-5.5`, or be one */
export function readOptions(
  options: Readonly<Record<string, unknown>> = {},
  model: string | undefined,
  agents: readonly string[],
): { settings: AcpSettings; ignored: string[] } {
  const { agent, permissionMode, timeoutMs: _, ...rest } = options;
  const ignored = Object.keys(rest);
  const settings: AcpSettings = { permissionMode: "bypass", model };
  const [first = "", ...more] = (model ?? "").split("/");
  if (agents.includes(first)) {
    settings.agent = first;
    settings.model = more.join("/") || undefined;
  }
  if (typeof agent === "string") settings.agent = agent;
  else if (agent !== undefined) ignored.push("agent");
  if (permissionMode === "ask" || permissionMode === "bypass") settings.permissionMode = permissionMode;
  else if (permissionMode !== undefined) ignored.push("permissionMode");
  return { settings, ignored };
}
