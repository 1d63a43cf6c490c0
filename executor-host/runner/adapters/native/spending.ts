/** What a run has used: the sum over the calls of the model. The AI SDK knows no prices. */
import type { LanguageModelUsage } from "ai";
import type { ProviderUsage } from "../adapter.ts";

export class Spending {
  #sum = { inputTokens: 0, outputTokens: 0, cacheReadTokens: 0, cacheWriteTokens: 0, reasoningTokens: 0 };

  /** Adds one call. Answers the sum so far. */
  add({ inputTokens, inputTokenDetails, outputTokens, outputTokenDetails }: LanguageModelUsage): ProviderUsage {
    this.#sum = {
      inputTokens: this.#sum.inputTokens + (inputTokens ?? 0),
      outputTokens: this.#sum.outputTokens + (outputTokens ?? 0),
      cacheReadTokens: this.#sum.cacheReadTokens + (inputTokenDetails.cacheReadTokens ?? 0),
      cacheWriteTokens: this.#sum.cacheWriteTokens + (inputTokenDetails.cacheWriteTokens ?? 0),
      reasoningTokens: this.#sum.reasoningTokens + (outputTokenDetails.reasoningTokens ?? 0),
    };
    return this.#sum;
  }
}
