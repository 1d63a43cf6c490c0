/** The pure parts of the Claude Code adapter. */
import type { UIMessageChunk } from "ai";
import { expect, test } from "vitest";
import { claudeEnvironment } from "../../../executor-host/runner/adapters/claude-code/environment.ts";
import { Parts } from "../../../executor-host/runner/adapters/claude-code/parts.ts";
import { ruleOf } from "../../../executor-host/runner/adapters/claude-code/permissions.ts";
import { plainPrompt } from "../../../executor-host/runner/adapters/claude-code/plain-prompt.ts";
import { readOptions } from "../../../executor-host/runner/adapters/claude-code/settings.ts";
import { since, spendingOf, toUsage } from "../../../executor-host/runner/adapters/claude-code/spending.ts";
import { todosOf } from "../../../executor-host/runner/adapters/claude-code/todos.ts";
import { lineDiff } from "../../../executor-host/runner/adapters/line-diff.ts";
import { childEnvironment } from "../../../executor-host/runner/child-environment.ts";

test("options are an allow-list; what does not fit is named", () => {
  expect(readOptions({ permissionMode: "ask", maxTurns: 3, effort: "high", timeoutMs: 5 })).toEqual({
    settings: { permissionMode: "default", maxTurns: 3, effort: "high" },
    ignored: [],
  });
  const bad = { permissionMode: "root", maxTurns: -1, hooks: {}, mcpServers: {}, constructor: 1, sdkOptions: {} };
  expect(readOptions(bad)).toEqual({ settings: {}, ignored: Object.keys(bad) });
});

test("the environment is an allow-list with ours on top", () => {
  const own = {
    PATH: "/bin",
    HOME: "/home/a",
    ANTHROPIC_API_KEY: "sk-host",
    AWS_SECRET_ACCESS_KEY: "x",
    GANTRY_TOKEN: "y",
    GANTRY_WORKER_MARK: "the-worker",
  };
  const env = claudeEnvironment(childEnvironment(own, { EXTRA: "1", ANTHROPIC_API_KEY: "given" }), {
    configDir: "/workspace/.gantry/agent/claude",
    providerUrl: "http://127.0.0.1:1/provider/claude-code",
  });
  expect(env).toMatchObject({
    PATH: "/bin",
    EXTRA: "1",
    GANTRY_WORKER_MARK: "the-worker", // by which the daemon finds it when the runner was killed
    ANTHROPIC_API_KEY: "gantry-adds-the-key",
    CLAUDE_CONFIG_DIR: "/workspace/.gantry/agent/claude",
  });
  expect(Object.keys(env)).not.toContain("AWS_SECRET_ACCESS_KEY");
  expect(Object.keys(env)).not.toContain("GANTRY_TOKEN");
});

test("a tool's input that is said twice goes out once", () => {
  const parts = new Parts();
  const delta = (inputTextDelta: string): UIMessageChunk => ({
    type: "tool-input-delta",
    toolCallId: "t",
    inputTextDelta,
  });
  expect(parts.refine(delta('{"a": '))).toEqual(delta('{"a": '));
  expect(parts.refine(delta("1}"))).toEqual(delta("1}"));
  expect(parts.refine(delta('{"a":1}'))).toBeUndefined();
});

test("metadata is taken off, but for a subagent's parent", () => {
  const parts = new Parts();
  const chunk = (meta: object) =>
    parts.refine({
      type: "text-delta",
      id: "1",
      delta: "x",
      providerMetadata: { "claude-code": meta },
    } as UIMessageChunk);
  expect(chunk({ rawInput: "long" })).toEqual({ type: "text-delta", id: "1", delta: "x" });
  expect(chunk({ parentToolCallId: "p", rawInput: "long" })).toEqual({
    type: "text-delta",
    id: "1",
    delta: "x",
    providerMetadata: { "claude-code": { parentToolCallId: "p" } },
  });
});

async function through(parts: string[]): Promise<string> {
  const stream = plainPrompt();
  const out: string[] = [];
  stream.on("data", (part) => out.push(String(part)));
  for (const part of parts) stream.write(part);
  await new Promise<void>((resolve) => stream.end(resolve));
  return out.join("");
}

test("the prompt loses its prefix wherever the pieces break, and nothing else changes", async () => {
  const control = '{"type":"control_request","request":{"subtype":"initialize"}}\n';
  const user = (text: string) =>
    `${JSON.stringify({ type: "user", message: { role: "user", content: [{ type: "text", text }] } })}\n`;
  const later = user("Human: second");
  const input = control + user("Human: /compact ä") + later;
  const wanted = control + user("/compact ä") + later;
  for (let at = 0; at <= input.length; at++) expect(await through([input.slice(0, at), input.slice(at)])).toBe(wanted);
});

test("to-dos come from TodoWrite's input and from nothing else", () => {
  expect(
    todosOf({
      todos: [
        { content: "a", status: "in_progress" },
        { content: "b", status: "odd" },
      ],
    }),
  ).toEqual([
    { id: "1", text: "a", status: "in_progress" },
    { id: "2", text: "b", status: "pending" },
  ]);
  expect(todosOf({ list: [] })).toBeUndefined();
  expect(todosOf(null)).toBeUndefined();
});

test("spending counts all models, and a resumed conversation only what is new", () => {
  const model = { inputTokens: 10, outputTokens: 2, cacheReadInputTokens: 5, cacheCreationInputTokens: 1 };
  const before = spendingOf({ a: model }, 0.5);
  const now = spendingOf({ a: model, b: { inputTokens: 7, outputTokens: 3, thinkingTokens: 1 } }, 0.75);
  expect(toUsage(since(before, now))).toEqual({
    inputTokens: 7,
    outputTokens: 3,
    reasoningTokens: 1,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    costUsd: 0.25,
  });
  expect(since(now, before)).toEqual(before);
});

test("a diff shows what changes with a little around it", () => {
  const before = Array.from({ length: 20 }, (_, index) => `line ${index + 1}`);
  const after = before.with(9, "changed");
  expect(lineDiff("a.txt", before.join("\n"), after.join("\n"))).toBe(
    [
      "--- a.txt",
      "+++ a.txt",
      "@@ -7,7 +7,7 @@",
      " line 7",
      " line 8",
      " line 9",
      "-line 10",
      "+changed",
      " line 11",
      " line 12",
      " line 13",
    ].join("\n"),
  );
  expect(lineDiff("n.txt", undefined, "one\ntwo")).toBe("--- /dev/null\n+++ n.txt\n@@ -1,0 +1,2 @@\n+one\n+two");
});

test("a rule names exactly what would be allowed", () => {
  expect(ruleOf("Bash", { command: "npm test" })).toBe("Bash(npm test)");
  expect(ruleOf("Edit", { file_path: "/workspace/a" })).toBe("Edit(/workspace/a)");
  expect(ruleOf("Task", { prompt: "x" })).toBe("Task(*)");
});
