/**
 * What a run has used, from what Codex says of its threads. A thread's total counts from its beginning, over all runs; and
 * it is the only figure that knows every call of a turn.
 */
import type { ProviderUsage } from "../adapter.ts";

export type Tokens = {
  inputTokens: number;
  cachedInputTokens: number;
  outputTokens: number;
  reasoningOutputTokens: number;
};

const FIELDS = ["inputTokens", "cachedInputTokens", "outputTokens", "reasoningOutputTokens"] as const;

export class Spending {
  readonly #threads = new Map<string, { before: Tokens; total: Tokens }>();

  /** @param isNew whether the call was made in this run; what a resumed thread says of earlier ones is not ours */
  add(threadId: string, total: Tokens, last: Tokens, isNew: boolean): void {
    const known = this.#threads.get(threadId);
    if (known) known.total = total;
    else this.#threads.set(threadId, { before: isNew ? minus(total, last) : total, total });
  }

  /** Over the conversation and its sub-agents; undefined as long as nothing was used. */
  get usage(): ProviderUsage | undefined {
    if (this.#threads.size === 0) return undefined;
    const sum: Tokens = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningOutputTokens: 0 };
    for (const { before, total } of this.#threads.values()) {
      const used = minus(total, before);
      for (const field of FIELDS) sum[field] += used[field];
    }
    return {
      inputTokens: sum.inputTokens,
      outputTokens: sum.outputTokens,
      cacheReadTokens: sum.cachedInputTokens,
      reasoningTokens: sum.reasoningOutputTokens,
    };
  }
}

function minus(a: Tokens, b: Tokens): Tokens {
  const entries = FIELDS.map((field) => [field, Math.max(0, a[field] - b[field])] as const);
  return Object.fromEntries(entries) as Tokens;
}
