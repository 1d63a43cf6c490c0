/** What a run has used, from what agents say at the end of each turn, and what it cost, where they know. */
import type { ProviderUsage } from "../adapter.ts";
import type { PromptAnswer } from "./wire.ts";

type Tokens = NonNullable<PromptAnswer["usage"]>;

export class Spending {
  readonly #turns: Tokens[] = [];

  add(usage: PromptAnswer["usage"]): void {
    if (usage) this.#turns.push(usage);
  }

  /** Undefined when the agent says nothing of it. */
  usage(costUsd: number | undefined): ProviderUsage | undefined {
    if (this.#turns.length === 0 && costUsd === undefined) return undefined;
    const sum = (of: (turn: Tokens) => number | null | undefined) =>
      this.#turns.reduce((total, turn) => total + (of(turn) ?? 0), 0);
    return {
      // Whether `inputTokens` counts the cache differs from agent to agent; the total does not.
      inputTokens: sum(({ totalTokens, inputTokens = 0, outputTokens = 0 }) =>
        totalTokens === undefined ? inputTokens : Math.max(inputTokens, totalTokens - outputTokens),
      ),
      outputTokens: sum(({ outputTokens }) => outputTokens),
      cacheReadTokens: sum(({ cachedReadTokens }) => cachedReadTokens),
      cacheWriteTokens: sum(({ cachedWriteTokens }) => cachedWriteTokens),
      reasoningTokens: sum(({ thoughtTokens }) => thoughtTokens),
      ...(costUsd === undefined ? {} : { costUsd }),
    };
  }
}
