import type { CredentialKind } from "#protocol/vocabulary.ts";

export const KIND_NAME: Readonly<Record<CredentialKind, string>> = {
  anthropic: "Anthropic API key",
  openai: "OpenAI API key",
  "openai-compatible": "OpenAI-compatible API",
  header: "Header for a destination",
};
