import { Hono } from "hono";
import { expect, test } from "vitest";
import { requireOwnOrigin } from "../../worker/auth/origin.ts";
import type { AppEnv } from "../../worker/context.ts";
import { Refused } from "../../worker/errors.ts";

const app = new Hono<AppEnv>().all("/*", (c) => {
  requireOwnOrigin(c);
  return c.text("let in");
});
app.onError((error, c) => c.text(error instanceof Refused ? error.rejection.reason : "defect", 403));

const env = { ALLOWED_ORIGINS: "https://portal.test" };
const ask = async (method: string, headers: Record<string, string>) =>
  (await app.request("https://gantry.test/api/x", { method, headers }, env)).text();

test.each(["https://gantry.test", "https://portal.test"])("%s may change things and open sockets", async (origin) => {
  expect(await ask("POST", { origin })).toBe("let in");
  expect(await ask("DELETE", { origin })).toBe("let in");
  expect(await ask("GET", { origin, upgrade: "websocket" })).toBe("let in");
});

test.each([
  "http://gantry.test",
  "https://gantry.test:444",
  "https://gantry.test.evil.test",
  "https://evil-gantry.test",
  "https://gantry.test@evil.test",
  "https://portal.test.evil.test",
  "https://GANTRY.test",
  "https://gantry.test/",
  "null",
  "",
])("%j may not", async (origin) => {
  expect(await ask("POST", { origin })).toBe("foreign_origin");
  expect(await ask("PATCH", { origin })).toBe("foreign_origin");
  expect(await ask("GET", { origin, upgrade: "websocket" })).toBe("foreign_origin");
});

test("no origin is a foreign one, except for reading", async () => {
  expect(await ask("POST", {})).toBe("foreign_origin");
  expect(await ask("GET", { upgrade: "websocket" })).toBe("foreign_origin");
  expect(await ask("GET", {})).toBe("let in");
});
