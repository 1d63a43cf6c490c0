import { describe, expect, it } from "vitest";
import type { MessagePart, ToolPart } from "#protocol/transcript.ts";
import { ansiSpans } from "../../web/session/ansi-spans.ts";
import { editDiffs } from "../../web/session/edit-diff.ts";
import { lineDiff } from "../../web/session/line-diff.ts";
import { groupParts, stepsSummary } from "../../web/session/part-groups.ts";
import { requestDetail } from "../../web/session/request-detail.ts";
import { toolOutput } from "../../web/session/tool-output.ts";
import { readableName, toolSummary } from "../../web/session/tool-summary.ts";

const tool = (toolName: string, rest: Partial<ToolPart> = {}): ToolPart => ({
  type: "dynamic-tool",
  toolCallId: toolName,
  toolName,
  state: "output-available",
  ...rest,
});
const line = (part: ToolPart): string => {
  const { verb, target, outcome } = toolSummary(part);
  return `${verb} ${target} (${outcome})`;
};

describe("a tool call in one line", () => {
  it.each([
    [tool("Bash", { input: { command: "npm test" }, output: { stdout: "ok", exitCode: 0 } }), "Ran npm test (done)"],
    [tool("Bash", { input: { command: "npm test" }, output: { exit_code: 1 } }), "Ran npm test (failed)"],
    [
      tool("shell", { input: { command: ["git", "status"] }, state: "input-available" }),
      "Running git status (running)",
    ],
    [tool("bash", { input: { command: "cat <<E\nx\nE" }, output: "" }), "Ran cat <<E … (done)"],
    [tool("Read", { input: { file_path: "/workspace/src/a.ts" }, output: "x" }), "Read src/a.ts (done)"],
    [tool("write", { input: { path: "notes.md" }, output: "x" }), "Wrote notes.md (done)"],
    [
      tool("Edit", { input: { file_path: "a.ts" }, state: "output-error", errorText: "no match" }),
      "Edited a.ts (failed)",
    ],
    [tool("Edit", { input: { file_path: "a.ts" }, state: "output-denied" }), "Not allowed: a.ts (denied)"],
    [tool("TodoWrite", { input: { todos: [] }, output: "x" }), "Updated the to-do list (done)"],
    [tool("mcp__github__create_issue", { state: "input-streaming" }), "Calling github: create issue (preparing)"],
    [tool("Bash", { input: { command: "make" }, output: "half", preliminary: true }), "Running make (running)"],
  ])("%#", (part, expected) => expect(line(part)).toBe(expected));

  it("names a foreign tool readably", () => expect(readableName("web_search-v2")).toBe("web search v2"));
});

describe("the output of a tool", () => {
  it.each([
    ["plain", { text: "plain" }],
    [
      { stdout: "out", stderr: "err", exitCode: 2 },
      { text: "out\nerr", exitCode: 2 },
    ],
    [
      {
        content: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      { text: "a\nb", exitCode: undefined },
    ],
    [[{ type: "text", text: "a" }], { text: "a" }],
    [
      { output: "done", metadata: { exit: 3 } },
      { text: "done", exitCode: 3 },
    ],
    [{ some: "thing" }, { text: '{\n  "some": "thing"\n}' }],
  ])("%#", (output, expected) => expect(toolOutput(tool("Bash", { output }))).toEqual(expected));

  it("never loses what went wrong", () => {
    expect(toolOutput(tool("Bash", { output: "half", errorText: "killed" })).text).toBe("half\nkilled");
  });
});

describe("steps of a run that is over", () => {
  const done = (name: string, id: string): ToolPart => tool(name, { toolCallId: id, output: "x", input: {} });
  const parts: MessagePart[] = [
    done("Read", "1"),
    done("Read", "2"),
    done("Bash", "3"),
    tool("Bash", { toolCallId: "4", output: { exitCode: 1 } }),
    done("Edit", "5"),
  ];
  it("fold into one line, but for the ones that failed", () => {
    expect(groupParts(parts, true).map((group) => group.kind)).toEqual(["steps", "one", "one"]);
    expect(stepsSummary(parts.slice(0, 3))).toBe("Read 2 files, ran 1 command");
  });
  it("do not fold while it is going on", () => {
    expect(groupParts(parts, false).every((group) => group.kind === "one")).toBe(true);
  });
});

describe("a change", () => {
  it("is shown line by line with what is around it", () => {
    expect(lineDiff("a\nb\nc", "a\nB\nc").map(({ kind, text }) => `${kind} ${text}`)).toEqual([
      "same a",
      "removed b",
      "added B",
      "same c",
    ]);
  });
  it("folds what is far away", () => {
    const many = Array.from({ length: 30 }, (_, index) => `line ${index}`);
    const diff = lineDiff(many.join("\n"), [...many, "new"].join("\n"));
    expect(diff.map((each) => each.kind)).toEqual(["gap", "same", "same", "same", "added"]);
  });
  it("is found in the inputs of several providers", () => {
    expect(editDiffs({ file_path: "a", old_string: "x", new_string: "y" })).toHaveLength(1);
    expect(
      editDiffs({
        file_path: "a",
        edits: [
          { old_string: "x", new_string: "y" },
          { old_string: "1", new_string: "2" },
        ],
      }),
    ).toHaveLength(2);
    expect(editDiffs({ changes: [{ path: "a", diff: "+x" }] })).toMatchObject([
      { path: "a", lines: [{ kind: "added" }] },
    ]);
    expect(editDiffs({ command: "ls" })).toEqual([]);
  });
});

describe("a permission request", () => {
  it("hides nothing of what it asks for", () => {
    const detail = {
      toolName: "Bash",
      command: "rm -rf build",
      cwd: "/workspace",
      timeout: 5,
      input: { command: "rm -rf build", run_in_background: true },
    };
    expect(requestDetail({ detail })).toEqual({
      tool: "Bash",
      command: "rm -rf build",
      cwd: "/workspace",
      diffs: [],
      rest: { timeout: 5, input: { run_in_background: true } },
    });
  });
  it("shows an edit as a change", () => {
    const { diffs, rest } = requestDetail({
      detail: { toolName: "Edit", input: { file_path: "a.ts", old_string: "1", new_string: "2" } },
    });
    expect(diffs).toMatchObject([{ path: "a.ts" }]);
    expect(rest).toBeUndefined();
    const all = requestDetail({
      detail: { input: { file_path: "a.ts", old_string: "1", new_string: "2", replace_all: true } },
    });
    expect(all.rest).toEqual({ input: { replace_all: true } });
  });
});

describe("terminal output", () => {
  it("keeps its colours and loses its control sequences", () => {
    expect(ansiSpans("\u001b[1;31mred\u001b[0m plain\u001b[2K\u001b]0;title\u0007!")).toEqual([
      { bold: true, fg: "red", text: "red" },
      { text: " plain" },
      { text: "!" },
    ]);
    expect(ansiSpans("\u001b[38;5;196mx\u001b[38;2;1;2;3my\u001b[39mz")).toEqual([
      { fg: "rgb(255 0 0)", text: "x" },
      { fg: "rgb(1 2 3)", text: "y" },
      { text: "z" },
    ]);
  });
  it("shows the last state of a line that was written over", () => {
    expect(ansiSpans("10 %\r50 %\r100 %\ndone\r\n")).toEqual([{ text: "100 %\ndone\n" }]);
  });
});
