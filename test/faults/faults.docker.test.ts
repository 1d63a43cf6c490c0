/** The short form of the faults that kill processes and containers. */
import { expect, test } from "vitest";
import { FAULTS } from "./all.ts";
import { runFault } from "./fault.ts";

test.each(FAULTS.filter(({ needs }) => needs === "docker"))("$name", async (fault) => {
  const { violations, recoveriesMs } = await runFault(fault, { form: "short", seed: "short" });
  expect(violations).toEqual([]);
  expect(recoveriesMs.length).toBeGreaterThan(0);
});
