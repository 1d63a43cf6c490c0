import fc from "fast-check";
import { expect, test } from "vitest";
import { parseScript } from "../../../executor-host/runner/adapters/scripted/script.ts";

const steps = (prompt: string) => parseScript(prompt).map(({ step }) => step);

test("every step of the language", () => {
  expect(
    steps(
      [
        "say hello there",
        "think hm",
        "stream 5 20",
        "write a/b.txt some  text",
        "write empty.txt",
        "read a/b.txt",
        "bash echo a | cat",
        "todo [x] a; [>] b; [ ] c d",
        "ask permission Deploy it?",
        "ask question Which? | One | Two words",
        "ask question Free text?",
        "sleep 30",
        "fail rate_limited",
        "usage 12 34",
        "crash",
        "hang",
      ].join("\n"),
    ),
  ).toEqual([
    { kind: "say", text: "hello there" },
    { kind: "think", text: "hm" },
    { kind: "stream", count: 5, everyMs: 20 },
    { kind: "write", path: "a/b.txt", text: "some  text" },
    { kind: "write", path: "empty.txt", text: "" },
    { kind: "read", path: "a/b.txt" },
    { kind: "bash", command: "echo a | cat" },
    {
      kind: "todo",
      items: [
        { text: "a", status: "completed" },
        { text: "b", status: "in_progress" },
        { text: "c d", status: "pending" },
      ],
    },
    { kind: "ask-permission", title: "Deploy it?" },
    { kind: "ask-question", text: "Which?", options: ["One", "Two words"] },
    { kind: "ask-question", text: "Free text?", options: [] },
    { kind: "sleep", ms: 30 },
    { kind: "fail", reason: "rate_limited" },
    { kind: "usage", inputTokens: 12, outputTokens: 34 },
    { kind: "crash" },
    { kind: "hang" },
  ]);
});

test.each([
  "say",
  "stream many times",
  "stream 5",
  "stream -1 5",
  "todo a; b",
  "todo [y] a",
  "fail somehow",
  "sleep long",
  "crash now",
  "ask permission",
  "hello",
  "SAY x",
])("%j is an unknown line", (line) => {
  expect(parseScript(line)).toEqual([{ text: line, step: undefined }]);
});

test("empty lines are left out, ends of lines and spaces around do not matter", () => {
  expect(steps("\r\n  say a  \r\n\r\n\tsay b")).toEqual([
    { kind: "say", text: "a" },
    { kind: "say", text: "b" },
  ]);
});

test("any text is a script: nothing throws, and every line that is not empty is there", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (prompt) => {
      const lines = prompt.split(/\r?\n/).filter((line) => line.trim() !== "");
      expect(parseScript(prompt)).toHaveLength(lines.length);
    }),
  );
});
