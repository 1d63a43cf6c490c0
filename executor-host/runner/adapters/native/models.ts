/**
 * From the name of a model to the AI SDK's model. The name says whose API is spoken, and with that which of the host's
 * keys is added on the way; the packages are loaded when they are needed, so that a runner that never needs them starts
 * no slower.
 *
 *   anthropic/claude-…      Anthropic's messages            /provider/anthropic
 *   openai/gpt-…            OpenAI's responses              /provider/openai
 *   compatible/anything     chat completions of whatever    /provider/native
 *                           OPENAI_BASE_URL of the host is
 *   claude-…, gpt-…, o3 …   as if the vendor stood before it
 */
import type { LanguageModel } from "ai";

const APIS = ["anthropic", "openai", "compatible"] as const;
type Api = (typeof APIS)[number];
export type ModelName = { api: Api; id: string };

/** The host's proxy replaces it; the packages only want to see that there is one. */
const PLACEHOLDER_KEY = "gantry-adds-the-key";

/** Undefined when the name says an API that is not known here. */
export function parseModel(name: string): ModelName | undefined {
  const slash = name.indexOf("/");
  const api = APIS.find((api) => api === name.slice(0, slash));
  const id = name.slice(slash + 1);
  if (slash > 0) return api && id !== "" ? { api, id } : undefined;
  if (/^claude-/.test(name)) return { api: "anthropic", id: name };
  if (/^(gpt-|o\d)/.test(name)) return { api: "openai", id: name };
  return undefined;
}

/** @param providerUrl of this provider, `http://127.0.0.1:PORT/provider/native`; its siblings are the vendors */
export async function openModel(
  { api, id }: ModelName,
  providerUrl: string,
  fetch: typeof globalThis.fetch,
): Promise<LanguageModel> {
  const apiKey = PLACEHOLDER_KEY;
  const sibling = (name: string) => providerUrl.replace(/[^/]+$/, name);
  switch (api) {
    case "anthropic": {
      const { createAnthropic } = await import("@ai-sdk/anthropic");
      return createAnthropic({ apiKey, baseURL: `${sibling("anthropic")}/v1`, fetch })(id);
    }
    case "openai": {
      const { createOpenAI } = await import("@ai-sdk/openai");
      return createOpenAI({ apiKey, baseURL: sibling("openai"), fetch }).responses(id);
    }
    case "compatible": {
      const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
      return createOpenAICompatible({ name: "compatible", apiKey, baseURL: providerUrl, fetch, includeUsage: true })(
        id,
      );
    }
  }
}
