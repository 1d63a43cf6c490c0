/** A failing world made small: steps are left out, larger groups first, as long as the same rule is still broken. */
import type { Step } from "./plan.ts";
import { type Outcome, simulate } from "./simulate.ts";

/** @returns the smallest list of steps that was found, and what happens with it, traced */
export async function shrink(
  seed: string,
  steps: readonly Step[],
  rule: string,
): Promise<{ steps: Step[]; outcome: Outcome }> {
  let kept = [...steps];
  const fails = async (tried: readonly Step[]) =>
    (await simulate(seed, tried)).violations.some((violation) => violation.rule === rule);
  for (let size = Math.ceil(kept.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let from = kept.length - size; from > -size; from -= size) {
      const tried = without(kept, Math.max(0, from), from + size);
      if (await fails(tried)) kept = tried;
    }
  }
  return { steps: kept, outcome: await simulate(seed, kept, true) };
}

/** The time of what is left out still passes. */
function without(steps: readonly Step[], from: number, to: number): Step[] {
  const passed = steps.slice(from, to).reduce((sum, step) => sum + step.afterMs, 0);
  const [next, ...rest] = steps.slice(to);
  const after = next ? [{ ...next, afterMs: next.afterMs + passed }, ...rest] : [];
  return [...steps.slice(0, from), ...after];
}
