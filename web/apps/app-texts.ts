import type { NetworkMode } from "#protocol/vocabulary.ts";

/** What an agent may reach, in people's words. */
export const NETWORK_TEXT: Readonly<Record<NetworkMode, { name: string; means: string }>> = {
  providers: { name: "Model only", means: "Nothing but the model, with the key added outside of the agent's reach." },
  allowlist: { name: "Listed hosts", means: "The model, and the hosts listed below." },
  open: { name: "Open", means: "Every public host. Never this host's own network." },
  none: { name: "Nothing", means: "Not even a model: for scripts." },
};
