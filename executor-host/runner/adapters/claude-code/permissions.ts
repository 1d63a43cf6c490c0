/**
 * What Claude Code asks, as requests to people: permissions for tools, and its own questions (AskUserQuestion). Whoever
 * decides sees everything that the tool would get: the whole command, the path, the diff.
 */
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { CanUseTool } from "ai-sdk-provider-claude-code";
import { messageOf } from "../../failure.ts";
import type { AdapterContext } from "../adapter.ts";
import { lineDiff } from "../line-diff.ts";

type Input = Record<string, unknown>;

export function createCanUseTool(cwd: string, context: AdapterContext): CanUseTool {
  return async (toolName, input, { title, decisionReason, toolUseID }) => {
    if (toolName === "AskUserQuestion") return askQuestions(input, toolUseID, context);
    const resolution = await context.ask({
      kind: "permission",
      title: title ?? `Claude wants to use ${toolName}`,
      detail: { tool: toolName, input, cwd, ...(await detailOf(toolName, input, cwd)), reason: decisionReason },
      toolCallId: toolUseID,
      rule: ruleOf(toolName, input),
    });
    if (resolution.decision === "allow") return { behavior: "allow", updatedInput: input };
    if (resolution.decision === "deny")
      return { behavior: "deny", message: resolution.reason ?? "The user refused this. Ask, or find another way." };
    return { behavior: "deny", message: "The run is being stopped.", interrupt: true };
  };
}

/** What "allow for this session" would allow: exactly this call, or for tools without a clear object, the whole tool. */
export function ruleOf(toolName: string, input: Input): string {
  const object = input.command ?? input.file_path ?? input.notebook_path ?? input.url;
  return `${toolName}(${typeof object === "string" ? object : "*"})`;
}

async function detailOf(toolName: string, input: Input, cwd: string): Promise<Input> {
  if (typeof input.command === "string") return { command: input.command };
  if (typeof input.plan === "string") return { plan: input.plan };
  const file = input.file_path ?? input.notebook_path;
  if (typeof file !== "string") return {};
  if (toolName === "Write" && typeof input.content === "string") {
    const before = await readIfThere(path.resolve(cwd, file));
    return { path: file, diff: lineDiff(file, before, input.content) };
  }
  if (typeof input.old_string === "string" && typeof input.new_string === "string")
    return { path: file, diff: lineDiff(file, input.old_string, input.new_string) };
  return { path: file };
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return `(the file cannot be read: ${messageOf(error)})`;
  }
}

type ClaudeQuestion = {
  question: string;
  multiSelect?: boolean;
  options?: { label: string; description?: string }[];
};

/** One request per question, one after the other; Claude wants the answers together. */
async function askQuestions(input: Input, toolCallId: string, context: AdapterContext): ReturnType<CanUseTool> {
  const answers: Record<string, string> = {};
  for (const { question, options = [], multiSelect } of (input.questions ?? []) as ClaudeQuestion[]) {
    const offered = options.map(({ label, description }, index) => ({ id: String(index + 1), label, description }));
    const resolution = await context.ask({
      kind: "question",
      title: question,
      detail: { tool: "AskUserQuestion" },
      options: offered,
      multiple: multiSelect === true,
      toolCallId,
    });
    if (resolution.decision === "answer") {
      const labels = resolution.answers.map((answer) => offered.find(({ id }) => id === answer)?.label ?? answer);
      answers[question] = labels.join(", ");
    } else if (resolution.decision === "deny") {
      return { behavior: "deny", message: resolution.reason ?? "The user does not want to answer. Decide yourself." };
    } else {
      return { behavior: "deny", message: "The run is being stopped.", interrupt: true };
    }
  }
  return { behavior: "allow", updatedInput: { ...input, answers } };
}
