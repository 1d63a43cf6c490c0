/**
 * Whose keys a run may spend: its own provider's, and no other's. An operator's sign-in is bought for one program, and an
 * agent that is told to call another provider's path would spend it. Pure.
 */
import type { Provider } from "#protocol/vocabulary.ts";
import type { UpstreamTable } from "./credentials.ts";

/** The names in `/provider/<name>/…` that a provider's runs use. `native` and `acp` talk to several vendors. */
const WAYS: Readonly<Record<Provider, readonly string[]>> = {
  "claude-code": ["claude-code"],
  "codex-app-server": ["codex-app-server"],
  opencode: ["opencode"],
  native: ["native", "anthropic", "openai"],
  acp: ["anthropic", "openai"],
  scripted: [],
};

/** @param provider of the session's run, or of its last one; undefined before the first, which reaches nothing */
export function fenced(upstreams: UpstreamTable, provider: Provider | undefined): UpstreamTable {
  const ways = provider === undefined ? [] : WAYS[provider];
  return new Map([...upstreams].filter(([name]) => ways.includes(name)));
}
