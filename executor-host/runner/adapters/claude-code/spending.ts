/** Tokens and money as Claude Code counts them, over all models and subagents. Pure. */
import type { ProviderUsage } from "../adapter.ts";

export type Spending = {
  /** Without what the cache gave or took. */
  inputTokens: number;
  outputTokens: number;
  thinkingTokens: number;
  cacheReadTokens: number;
  cacheWriteTokens: number;
  costUsd: number | undefined;
};

/** One entry of the CLI's `modelUsage`. */
export type ModelUsage = {
  inputTokens?: number;
  outputTokens?: number;
  thinkingTokens?: number;
  cacheReadInputTokens?: number;
  cacheCreationInputTokens?: number;
};

export const noSpending: Spending = {
  inputTokens: 0,
  outputTokens: 0,
  thinkingTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  costUsd: undefined,
};

export function spendingOf(
  models: Readonly<Record<string, ModelUsage>> | undefined,
  costUsd: number | undefined,
): Spending {
  const all = Object.values(models ?? {});
  const sum = (pick: (usage: ModelUsage) => number | undefined) =>
    all.reduce((total, usage) => total + (pick(usage) ?? 0), 0);
  return {
    inputTokens: sum((usage) => usage.inputTokens),
    outputTokens: sum((usage) => usage.outputTokens),
    thinkingTokens: sum((usage) => usage.thinkingTokens),
    cacheReadTokens: sum((usage) => usage.cacheReadInputTokens),
    cacheWriteTokens: sum((usage) => usage.cacheCreationInputTokens),
    costUsd,
  };
}

/** What was spent since `before`. A total that went down was begun anew: then all of it is new. */
export function since(before: Spending, now: Spending): Spending {
  const restarted = now.outputTokens < before.outputTokens || now.inputTokens < before.inputTokens;
  if (restarted) return now;
  return {
    inputTokens: now.inputTokens - before.inputTokens,
    outputTokens: now.outputTokens - before.outputTokens,
    thinkingTokens: Math.max(0, now.thinkingTokens - before.thinkingTokens),
    cacheReadTokens: Math.max(0, now.cacheReadTokens - before.cacheReadTokens),
    cacheWriteTokens: Math.max(0, now.cacheWriteTokens - before.cacheWriteTokens),
    // Money comes as a float; a millionth of a cent is below anything that is billed.
    costUsd: now.costUsd === undefined ? undefined : Math.max(0, round(now.costUsd - (before.costUsd ?? 0))),
  };
}

export function toUsage(spending: Spending): ProviderUsage {
  const { inputTokens, outputTokens, thinkingTokens, cacheReadTokens, cacheWriteTokens, costUsd } = spending;
  return {
    inputTokens: inputTokens + cacheReadTokens + cacheWriteTokens,
    outputTokens,
    reasoningTokens: thinkingTokens,
    cacheReadTokens,
    cacheWriteTokens,
    costUsd,
  };
}

function round(usd: number): number {
  return Math.round(usd * 1e8) / 1e8;
}
