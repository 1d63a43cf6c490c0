import { expect, test } from "vitest";
import { createLogger, redact, redactText } from "../../worker/log.ts";

const SECRETS = [
  "gst_95hIGmWojUViJ_9p8AA1qoqL9N3PJjkEIMjQVfRf-DE",
  "gjt_95hIGmWojUViJ_9p8AA1qoqL9N3PJjkEIMjQVfRf-DE",
  "gsl_95hIGmWojUViJ_9p8AA1qoqL9N3PJjkEIMjQVfRf-DE",
  "gbs_95hIGmWojUViJ_9p8AA1qoqL9N3PJjkEIMjQVfRf-DE",
  "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJoc3RfMSJ9.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0",
  "sk-ant-api03-abcdefghijklmnop",
];

test("whatever looks like a secret is blanked, wherever it stands", () => {
  for (const secret of SECRETS) {
    for (const text of [secret, `before ${secret} after`, `"${secret}"`, `https://x/y?token=${secret}&z=1`]) {
      expect(redactText(text)).not.toContain(secret);
      expect(JSON.stringify(redact({ deep: [{ note: text }] }))).not.toContain(secret);
      expect(JSON.stringify(redact(new Error(text)))).not.toContain(secret);
    }
  }
});

test("fields with a telling name are blanked whatever they hold", () => {
  const fields = {
    token: "short",
    joinToken: "short",
    password: "short",
    Authorization: "short",
    cookie: "short",
    assertion: "short",
    ticket: "short",
    apiKey: "short",
    signingKey: "short",
  };
  expect(JSON.stringify(redact({ nested: fields }))).not.toContain("short");
});

test("secrets in a query are blanked by their name, the rest stays", () => {
  expect(redactText("/api/link/host/hst_1?ticket=abc123&cursor=7")).toBe(
    "/api/link/host/hst_1?ticket=[redacted]&cursor=7",
  );
  expect(redactText("Authorization: Bearer abc.def")).not.toContain("abc.def");
  expect(redactText("run_0123456789abcdefghij-0123456789 failed")).toBe("run_0123456789abcdefghij-0123456789 failed");
});

test("a line is one JSON object with the fields of its logger", () => {
  const lines: string[] = [];
  const log = createLogger({ component: "worker", traceId: "t1" }, (_level, line) => lines.push(line));
  log.with({ sessionId: "ses_1" }).warn("something", { count: 2, error: new TypeError("no\nway") });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? "")).toEqual({
    level: "warn",
    event: "something",
    component: "worker",
    traceId: "t1",
    sessionId: "ses_1",
    count: 2,
    error: { name: "TypeError", message: "no\nway" },
  });
  expect(lines[0]).not.toContain("\n");
});
