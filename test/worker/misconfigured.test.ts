import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { routeTable } from "../support/route-table.ts";
import { SECRETS } from "../support/secrets.ts";
import { type OwnWorker, startWorker } from "../support/worker-under-test.ts";

/** A Worker that was deployed without one of its secrets opens nothing, and says which one. */
describe("without SIGNING_KEY", () => {
  let worker: OwnWorker;
  beforeAll(async () => {
    const { SIGNING_KEY: _forgotten, ...rest } = SECRETS;
    worker = await startWorker(rest);
  });
  afterAll(() => worker.close());

  test.each(routeTable().map(({ method, path }) => [method, path]))("%s %s answers 503", async (method, path) => {
    const address = path.replace(/:\w+(?:\{[^}]*\})?/g, "x");
    const response = await worker.fetch(address, {
      method,
      headers: { authorization: `Bearer ${SECRETS.BOOTSTRAP_TOKEN}` },
    });
    expect(response.status).toBe(503);
    const body = (await response.json()) as { message: string };
    expect(body).toMatchObject({ ok: false, reason: "misconfigured" });
    expect(body.message).toContain("SIGNING_KEY");
  });

  test("is loud in the logs", async () => {
    await worker.fetch("/healthz");
    const loud = () => worker.logs.filter((line) => line.startsWith("error ") && line.includes("misconfigured"));
    await expect.poll(loud).not.toEqual([]);
    expect(loud()[0]).toContain("SIGNING_KEY");
  });
});
