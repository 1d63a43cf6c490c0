import { describe, expect, test } from "vitest";
import { requireSecrets, SECRET_NAMES, trustedOrigins } from "../../worker/env.ts";
import { SECRETS } from "../support/secrets.ts";

describe("secrets [R-1.11]", () => {
  test("good ones are accepted", () => expect(requireSecrets(SECRETS)).toBeUndefined());

  describe.each(SECRET_NAMES)("%s", (name) => {
    const bad: Record<string, unknown> = {
      missing: undefined,
      empty: "",
      "too short": "4f1d9c7ab2e850364f1d9c7ab2e8503",
      "a sample": "please-change-me-please-change-me-please",
      "one letter": "a".repeat(64),
      "not text": 12345678901234567890n,
    };
    test.each(Object.entries(bad))("%s is refused by name, and its value is not told", (_what, value) => {
      const refusal = requireSecrets({ ...SECRETS, [name]: value });
      expect(refusal).toMatchObject({ ok: false, reason: "misconfigured", details: { variable: name } });
      expect(refusal?.message).toContain(name);
      if (typeof value === "string" && value.length > 8) expect(refusal?.message).not.toContain(value);
    });
  });

  test("one secret for two purposes is refused", () => {
    expect(requireSecrets({ ...SECRETS, ENCRYPTION_KEY: SECRETS.SIGNING_KEY })).toMatchObject({
      details: { variable: "ENCRYPTION_KEY" },
    });
  });
});

test("trusted origins are the own one and the listed ones, whole", () => {
  const origins = trustedOrigins("https://gantry.test/api/me?x=1", {
    ALLOWED_ORIGINS: " https://a.test ,https://b.test:8443,",
  });
  expect([...origins]).toEqual(["https://gantry.test", "https://a.test", "https://b.test:8443"]);
  expect([...trustedOrigins("http://127.0.0.1:8787/", {})]).toEqual(["http://127.0.0.1:8787"]);
});
