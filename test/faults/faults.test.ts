/** The short form of `npm run faults`: what needs no container, a few trials each. */
import { expect, test } from "vitest";
import { sharedControlPlane } from "../support/shared-control-plane.ts";
import { FAULTS } from "./all.ts";
import { runFault } from "./fault.ts";
import { Pool } from "./pool.ts";

Pool.start = sharedControlPlane;

const here = FAULTS.filter(({ needs, trials }) => needs === undefined && trials.short > 0);

test.each(here)("$name", { timeout: 180_000 }, async (fault) => {
  const { violations, trials } = await runFault(fault, { form: "short", seed: "short" });
  expect(violations).toEqual([]);
  expect(trials).toBeGreaterThan(0);
});
