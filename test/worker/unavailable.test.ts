/** What the platform throws when an object cannot be reached just now, and what a caller is told. */
import { expect, test } from "vitest";
import { rejectionOf } from "../../worker/errors.ts";
import { createLogger } from "../../worker/log.ts";

const c = { var: { log: createLogger({ component: "test" }, () => {}), traceId: "trc_1" } };

test.each([
  ["moved because its code was updated", { retryable: true }, "unavailable"],
  ["asked for too much at once", { overloaded: true, retryable: true }, "overloaded"],
])("an object that is %s is no defect: the caller is told to try again", (_what, marks, reason) => {
  const error = Object.assign(new Error("Durable Object reset because its code was updated."), marks);
  expect(rejectionOf(c, error)).toMatchObject({ ok: false, reason });
});

test("anything else that is thrown is a defect, told as nothing but its trace", () => {
  expect(rejectionOf(c, new Error("secret words"))).toMatchObject({
    reason: "internal",
    details: { traceId: "trc_1" },
  });
  expect(JSON.stringify(rejectionOf(c, new Error("secret words")))).not.toContain("secret");
});
