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
      inputTokens: sum((turn) => {
        const { totalTokens, inputTokens = 0 } = turn;
        return totalTokens === undefined ? inputTokens : Math.max(inputTokens, totalTokens - outputOf(turn));
      }),
      outputTokens: sum(outputOf),
      cacheReadTokens: sum(({ cachedReadTokens }) => cachedReadTokens),
      cacheWriteTokens: sum(({ cachedWriteTokens }) => cachedWriteTokens),
      reasoningTokens: sum(({ thoughtTokens }) => thoughtTokens),
      ...(costUsd === undefined ? {} : { costUsd }),
    };
  }
}

/** With what was thought: some agents count that apart, which the total betrays. */
function outputOf(turn: Tokens): number {
  const { totalTokens, inputTokens = 0, outputTokens = 0 } = turn;
  const thought = turn.thoughtTokens ?? 0;
  const cached = (turn.cachedReadTokens ?? 0) + (turn.cachedWriteTokens ?? 0);
  const without = [inputTokens + outputTokens, inputTokens + cached + outputTokens];
  const isApart =
    totalTokens !== undefined && !without.includes(totalTokens) && without.some((sum) => sum + thought === totalTokens);
  return isApart ? outputTokens + thought : outputTokens;
}
