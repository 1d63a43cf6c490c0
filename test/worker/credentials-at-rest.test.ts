/** How a credential lies in D1, and which ones a session gets. */
import { describe, expect, test } from "vitest";
import { openAtRest, sealAtRest } from "../../worker/credentials/at-rest.ts";
import { type Choosable, chooseCredentials } from "../../worker/credentials/choose.ts";

const secrets = { ENCRYPTION_KEY: "first-secret-of-the-tests-7b1e09d2c4f6" };
const place = { organizationId: "org_a", credentialId: "crd_a" };

describe("[R-2.6] at rest", () => {
  test("opens where it was sealed; the same value never looks the same", async () => {
    const [one, two] = [await sealAtRest(secrets, place, "sk-value"), await sealAtRest(secrets, place, "sk-value")];
    expect(one).not.toBe(two);
    expect(one).not.toContain("sk-value");
    expect(await openAtRest(secrets, place, one)).toEqual({ value: "sk-value", stale: false });
  });

  test.each([
    ["another credential's row", { ...place, credentialId: "crd_b" }],
    ["another organisation's row", { ...place, organizationId: "org_b" }],
  ])("does not open in %s", async (_where, elsewhere) => {
    await expect(openAtRest(secrets, elsewhere, await sealAtRest(secrets, place, "sk-value"))).rejects.toThrow();
  });

  test("one changed bit is noticed", async () => {
    const sealed = await sealAtRest(secrets, place, "sk-value");
    const at = sealed.lastIndexOf(".") + 3;
    const changed = sealed.slice(0, at) + (sealed[at] === "A" ? "B" : "A") + sealed.slice(at + 1);
    await expect(openAtRest(secrets, place, changed)).rejects.toThrow();
  });

  test("the secret can be changed: the old one opens what it sealed, and says that it is to be sealed anew", async () => {
    const sealed = await sealAtRest(secrets, place, "sk-value");
    const next = { ENCRYPTION_KEY: "second-secret-of-the-tests-41aa7c0e93bd" };
    await expect(openAtRest(next, place, sealed)).rejects.toThrow(/ENCRYPTION_KEY_PREVIOUS/);
    const both = { ...next, ENCRYPTION_KEY_PREVIOUS: `another-one,${secrets.ENCRYPTION_KEY}` };
    expect(await openAtRest(both, place, sealed)).toEqual({ value: "sk-value", stale: true });
    expect(await openAtRest(next, place, await sealAtRest(both, place, "sk-value"))).toMatchObject({ stale: false });
  });
});

describe("which credentials a session gets", () => {
  const row = (id: string, change: Partial<Choosable> = {}): Choosable => ({
    ...{ id, kind: "anthropic", appId: null, baseUrl: null, header: null, createdAt: 1 },
    ...change,
  });
  const ids = (rows: Choosable[], app?: Parameters<typeof chooseCredentials>[1]) =>
    chooseCredentials(rows, app).map(({ id }) => id);

  test("of equals the newest; one for each vendor", () => {
    const rows = [row("old"), row("new", { createdAt: 2 }), row("other", { kind: "openai" })];
    expect(ids(rows).sort()).toEqual(["new", "other"]);
  });

  test("an app's own comes first in that app, and is nobody else's", () => {
    const rows = [row("ours", { createdAt: 9 }), row("app", { appId: "app_1" })];
    expect(ids(rows, { id: "app_1" })).toEqual(["app"]);
    expect(ids(rows, { id: "app_2" })).toEqual(["ours"]);
    expect(ids(rows)).toEqual(["ours"]);
  });

  test("the one that the app names comes before all, but never out of another app", () => {
    const rows = [row("ours"), row("app", { appId: "app_1" }), row("foreign", { appId: "app_2" })];
    expect(ids(rows, { id: "app_1", credentialId: "ours" })).toEqual(["ours"]);
    expect(ids(rows, { id: "app_1", credentialId: "foreign" })).toEqual(["app"]);
  });

  test("an OpenAI-compatible API stands in for OpenAI's; headers are one for each destination", () => {
    const compatible = row("compatible", { kind: "openai-compatible", createdAt: 2 });
    const header = (id: string, baseUrl: string) => row(id, { kind: "header", baseUrl, header: "authorization" });
    const rows = [row("openai", { kind: "openai" }), compatible, header("h1", "https://a"), header("h2", "https://b")];
    expect(ids(rows).sort()).toEqual(["compatible", "h1", "h2"]);
  });
});
