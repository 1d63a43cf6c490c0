import { expect, test } from "vitest";
import { classify, evidenceOf } from "../../../executor-host/runner/failure.ts";
import { redact } from "../../../executor-host/runner/redact.ts";

test.each([
  ["Failed to authenticate. API Error: 401 invalid x-api-key", undefined, "auth_rejected"],
  ["whatever", 403, "auth_rejected"],
  ["Not logged in · Please run /login", undefined, "auth_missing"],
  ["API Error: Request rejected (429)", undefined, "rate_limited"],
  ["anything", 429, "rate_limited"],
  ["overloaded_error", undefined, "overloaded"],
  ["bad gateway", 502, "overloaded"],
  ["connect ECONNREFUSED 127.0.0.1:9", undefined, "overloaded"],
  ["prompt is too long: 250000 tokens > 200000 maximum", 400, "context_exceeded"],
  [
    "There's an issue with the selected model (x). It may not exist or you may not have access to it.",
    undefined,
    "model_not_found",
  ],
  ["spawn /opt/gantry/claude ENOENT", undefined, "cli_missing"],
  ["Claude Code process terminated by signal SIGKILL", undefined, "container_failed"],
  ["something nobody has seen", undefined, "internal"],
] as const)("%j (%s) is %s", (words, status, reason) => {
  expect(classify(words, status)).toBe(reason);
});

test.each([
  "sk-ant-api03-AbCdEf_12345-xyz",
  "ghp_abcdefghijklmnopqrst",
  "github_pat_11ABCDEFG0abcdefghij",
  "AKIAIOSFODNN7EXAMPLE",
  "AIzaSyA-1234567890abcdefghijk",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w",
  "xoxb-1234567890-abcdefghij",
])("%s is taken out", (secret) => {
  expect(redact(`before ${secret} after`)).toBe("before [redacted] after");
});

test("named and bearer secrets are taken out whatever they look like; words stay", () => {
  expect(redact('x-api-key: hunter2hunter2, "password": "abcdefgh"')).toBe(
    'x-api-key: [redacted], "password": "[redacted]"',
  );
  expect(redact("Authorization: Bearer abc.def-ghi12345")).not.toContain("abc.def");
  expect(redact("the token count is 5; invalid x-api-key")).toBe("the token count is 5; invalid x-api-key");
});

test("evidence is bounded", () => {
  expect(evidenceOf("x".repeat(100_000)).length).toBeLessThan(4_000);
});
