import { expect, test } from "vitest";
import { createLogs } from "../../executor-host/logs.ts";

function capture() {
  const lines: string[] = [];
  return { lines, ...createLogs({ level: "info", stream: { write: (line: string) => void lines.push(line) } }) };
}

const secrets = [
  "token",
  "key",
  "authorization",
  "assertion",
  "joinToken",
  "secret",
  "password",
  "apiKey",
  "privateKey",
  "d",
];

test.each(secrets)("[R-10.2] %s never reaches a log, at the top or two levels in", (name) => {
  const { logger, lines } = capture();
  logger.info({ [name]: "hush", a: { [name]: "hush", b: { [name]: "hush" } } }, "connecting");
  logger.child({ component: "x" }).warn({ headers: { [name]: "hush" } }, "refused");
  expect(lines.join("")).not.toContain("hush");
  expect(lines).toHaveLength(2);
});

test("[R-10.2] a line is JSON with time, level, component and ids", () => {
  const { logger, lines } = capture();
  logger.child({ component: "session", hostId: "h", sessionId: "s" }).info({ runId: "r", traceId: "t" }, "hello");
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "info",
    component: "session",
    hostId: "h",
    sessionId: "s",
    runId: "r",
    traceId: "t",
    msg: "hello",
    time: expect.stringMatching(/^\d{4}-/),
  });
});

test("[R-1.9] the level can be changed while children live", () => {
  const { logger, setLevel, lines } = capture();
  const child = logger.child({ component: "x" });
  child.debug("before");
  setLevel("debug");
  child.debug("after");
  setLevel("silent");
  child.error("never");
  expect(lines.map((line) => JSON.parse(line).msg)).toEqual(["after"]);
});
