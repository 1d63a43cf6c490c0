/** `POST /api/runs/restore-plan`: the plan, or what is missing, in the shape that callers rely on. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Caller, firstCaller } from "../support/accounts.ts";
import { sharedWorker, type WorkerUnderTest } from "../support/worker-under-test.ts";

let worker: WorkerUnderTest;
let me: Caller;
beforeAll(async () => {
  worker = await sharedWorker();
  me = await firstCaller(worker);
});
afterAll(() => worker.close());

const ask = (manifest: object, rest: object = {}) =>
  me.call("POST", "/api/runs/restore-plan", { manifest: { runtimeVersion: "1.0", ...manifest }, ...rest });

test("[R-4.3] a plan with five layers", async () => {
  const { status, body } = await ask({ requiredPaths: ["/workspace/a"] }, { existingPaths: ["/workspace/a"] });
  expect(status).toBe(200);
  expect(body).toMatchObject({ ok: true, plan: { conflictPolicy: "keep_session" } });
  const { layers } = (body as { plan: { layers: { layer: string }[] } }).plan;
  expect(layers.map(({ layer }) => layer)).toEqual(["L0", "L1", "L2", "L3", "L4"]);
});

test("[R-4.3] missing paths are 422, with the list beside the reason", async () => {
  const { status, body } = await ask({ requiredPaths: ["/workspace/a", "/workspace/b"] });
  expect([status, body]).toEqual([
    422,
    {
      ok: false,
      reason: "required_paths_missing",
      missing: ["/workspace/a", "/workspace/b"],
      message: expect.stringContaining("/workspace/a"),
    },
  ]);
});

test.each([
  ["traversal", { requiredPaths: ["/workspace/../etc"] }, 422, "path_outside_workspace"],
  ["another version", { runtimeVersion: "7.0" }, 422, "runtime_version_mismatch"],
  ["an unknown field", { surprise: true }, 400, "malformed"],
  ["a number for a path", { requiredPaths: [7] }, 400, "malformed"],
  ["an unknown policy", { conflictPolicy: "ask" }, 400, "malformed"],
])("refused: %s", async (_what, manifest, status, reason) => {
  const answer = await ask(manifest);
  expect([answer.status, answer.body]).toEqual([status, expect.objectContaining({ ok: false, reason })]);
});

test("refused: no manifest, and more than there should be", async () => {
  expect((await me.call("POST", "/api/runs/restore-plan", {})).status).toBe(400);
  expect((await ask({}, { more: 1 })).status).toBe(400);
});
