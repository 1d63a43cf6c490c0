/** The short form of `npm run simulate`: a few hundred small worlds. The long form has longer ones, and more. */
import { expect, test } from "vitest";
import { planOf } from "./plan.ts";
import { simulate } from "./simulate.ts";

const BLOCKS = 6;
const SEEDS_PER_BLOCK = 40;
const STEPS = 14;

test.each(Array.from({ length: BLOCKS }, (_, block) => block))(
  "no rule is broken in worlds with faults: block %i",
  { timeout: 120_000 },
  async (block) => {
    let happenings = 0;
    for (let index = 0; index < SEEDS_PER_BLOCK; index++) {
      const seed = `short-${block}-${index}`;
      const outcome = await simulate(seed, planOf(seed, STEPS));
      expect(outcome.violations, `npm run simulate -- --steps ${STEPS} --seed ${seed}`).toEqual([]);
      happenings += outcome.happenings;
    }
    // A world in which nothing happens proves nothing.
    expect(happenings).toBeGreaterThan(SEEDS_PER_BLOCK * 100);
  },
);

test("the same seed is the same world", async () => {
  const [first, second] = [await simulate("again", undefined, true), await simulate("again", undefined, true)];
  expect(second.trace).toEqual(first.trace);
  expect(first.trace.length).toBeGreaterThan(100);
});
