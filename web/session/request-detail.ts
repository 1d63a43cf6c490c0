/** What a permission request is about, read from whatever its provider put into `detail`. */
import type { HumanLoopRequest } from "#protocol/events.ts";
import { editDiffs, type FileDiff } from "./edit-diff.ts";

export type RequestDetail = {
  tool?: string;
  command?: string;
  diffs: FileDiff[];
  cwd?: string;
  /** The agent or sub-agent that asks. */
  asker?: string;
  note?: string;
  /** Everything that has no place of its own, so that nobody approves blind. */
  rest?: Record<string, unknown>;
};

/** What the diff shows already. */
const IN_A_DIFF =
  "diff patch unified_diff path file_path filePath notebook_path changes edits content old_string new_string oldString newString old_str new_str".split(
    " ",
  );

function without(fields: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};

export function requestDetail(request: Pick<HumanLoopRequest, "detail">): RequestDetail {
  const left = new Map(Object.entries(request.detail));
  const take = (...names: string[]): string | undefined => {
    for (const name of names) {
      const value = left.get(name);
      const text = Array.isArray(value) && value.every((item) => typeof item === "string") ? value.join(" ") : value;
      if (typeof text !== "string" || !text) continue;
      left.delete(name);
      return text;
    }
    return undefined;
  };
  const input = { ...record(left.get("input")) };
  const tool = take("tool", "toolName", "displayName");
  const cwd = take("cwd", "workdir", "directory");
  const asker = take("agent", "askedBy", "subagent", "agentPath");
  let note = take("description", "reason", "message");
  if (!note && typeof input.description === "string") note = input.description;
  let command = take("command", "cmd");
  if (!command && typeof input.command === "string") command = input.command;
  const diffs = [...editDiffs(Object.fromEntries(left)), ...editDiffs(input)];
  const rest = without(Object.fromEntries(left), diffs.length > 0 ? IN_A_DIFF : []);
  const others = without(input, [
    ...(command === input.command ? ["command"] : []),
    ...(note === input.description ? ["description"] : []),
    ...(diffs.length > 0 ? IN_A_DIFF : []),
  ]);
  if ("input" in rest) rest.input = others;
  if (Object.keys(others).length === 0 && Object.keys(input).length > 0) delete rest.input;
  return { tool, command, diffs, cwd, asker, note, rest: Object.keys(rest).length > 0 ? rest : undefined };
}
