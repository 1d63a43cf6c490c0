/** Every provider this runner can drive. A new adapter is added here and nowhere else. */
import type { Provider } from "#protocol/vocabulary.ts";
import type { RunnerOptions } from "../options.ts";
import { createAcpAdapter } from "./acp/adapter.ts";
import type { Adapter } from "./adapter.ts";
import { createClaudeCodeAdapter } from "./claude-code/adapter.ts";
import { createCodexAdapter } from "./codex-app-server/adapter.ts";
import { createNativeAdapter } from "./native/adapter.ts";
import { createOpencodeAdapter } from "./opencode/adapter.ts";
import { createScriptedAdapter } from "./scripted/adapter.ts";

export function createAdapters(options: RunnerOptions): ReadonlyMap<Provider, Adapter> {
  const adapters = [
    createScriptedAdapter(options),
    createClaudeCodeAdapter(options),
    createCodexAdapter(options),
    createOpencodeAdapter(options),
    createNativeAdapter(options),
    createAcpAdapter(options),
  ];
  return new Map(adapters.map((adapter) => [adapter.provider, adapter]));
}
