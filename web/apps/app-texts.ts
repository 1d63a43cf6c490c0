import type { NetworkMode } from "#protocol/vocabulary.ts";

/** Whether an agent asks, by the option that says so. */
export const PERMISSION_TEXT: Readonly<Record<string, string>> = {
  "": "As the agent has it",
  bypass: "It does not ask: its container is sealed",
  ask: "It asks people",
};

/** What an agent may reach, in people's words. */
export const NETWORK_TEXT: Readonly<Record<NetworkMode, { name: string; means: string }>> = {
  providers: { name: "Model only", means: "Nothing but the model, with the key added outside of the agent's reach." },
  allowlist: { name: "Listed hosts", means: "The model, and the hosts listed below." },
  open: { name: "Open", means: "Every public host. Never this host's own network." },
  none: { name: "Nothing", means: "Not even a model: for scripts." },
};
