/** What the agent can do: run, read, write, edit, search, keep a to-do list, ask. */
import { type ToolSet, tool } from "ai";
import { z } from "zod";
import { TODO_STATUSES } from "#protocol/vocabulary.ts";
import type { AdapterContext } from "../adapter.ts";
import { type Change, plannedEdit, plannedWrite, readLines } from "./files.ts";
import { allowed, Refused, type Wish } from "./permission.ts";
import { search } from "./search.ts";
import type { PermissionMode } from "./settings.ts";
import { runCommand, shellCommand } from "./shell.ts";

const COMMAND_MS = 120_000;
const MAX_COMMAND_MS = 3_600_000;

export type ToolNeeds = {
  cwd: string;
  env: Record<string, string>;
  mode: PermissionMode;
  context: AdapterContext;
  /** A call that people refused. */
  refused: (toolCallId: string) => void;
};

export function createTools(needs: ToolNeeds): ToolSet {
  const { cwd, env, context } = needs;
  const file = z.string().describe("Path of the file, in the working directory.");
  return {
    bash: tool({
      description: "Runs a command in a shell in the working directory. Answers its exit code and what it printed.",
      inputSchema: z.object({
        command: z.string(),
        timeoutMs: z.number().positive().max(MAX_COMMAND_MS).optional().describe(`Default ${COMMAND_MS}.`),
      }),
      execute: async ({ command, timeoutMs = COMMAND_MS }, { toolCallId }) => {
        await leave(needs, { tool: "bash", object: command, detail: { command }, toolCallId });
        return runCommand({ ...shellCommand(command), cwd, env, timeoutMs }, context);
      },
    }),
    read: tool({
      description: "Reads a text file, or a part of it.",
      inputSchema: z.object({
        path: file,
        from: z.number().int().positive().optional().describe("First line; default 1."),
        lines: z.number().int().positive().optional().describe("How many; default and most 2000."),
      }),
      execute: ({ path, from, lines }) => readLines(cwd, path, from, lines),
    }),
    write: tool({
      description: "Writes a file; its folders are made, an existing file is replaced.",
      inputSchema: z.object({ path: file, content: z.string() }),
      execute: async ({ path, content }, { toolCallId }) =>
        carryOut(needs, "write", await plannedWrite(cwd, path, content), toolCallId),
    }),
    edit: tool({
      description:
        "Replaces text in a file. old_string has to stand there exactly, and once, unless replace_all is set.",
      inputSchema: z.object({
        path: file,
        old_string: z.string(),
        new_string: z.string(),
        replace_all: z.boolean().optional(),
      }),
      execute: async ({ path, old_string: oldText, new_string: newText, replace_all: all = false }, { toolCallId }) =>
        carryOut(needs, "edit", await plannedEdit(cwd, path, { oldText, newText, all }), toolCallId),
    }),
    search: tool({
      description: "Finds lines by an extended regular expression, or, without pattern, files by a glob of their path.",
      inputSchema: z.object({
        pattern: z.string().optional().describe("Regular expression, as grep -E takes it."),
        glob: z.string().optional().describe("As in src/**/*.ts; with a pattern, only the file's name counts."),
        path: z.string().optional().describe("Folder or file to look in."),
      }),
      execute: (input) => search(cwd, input, env, context),
    }),
    todo: tool({
      description: "Sets the to-do list that the user sees. Always the whole list.",
      inputSchema: z.object({
        items: z.array(z.object({ text: z.string(), status: z.enum(TODO_STATUSES) })).max(200),
      }),
      execute: async ({ items }) => {
        context.todos(items.map(({ text, status }, i) => ({ id: String(i + 1), text: text.slice(0, 2_000), status })));
        return "The list is set.";
      },
    }),
    question: tool({
      description: "Asks the user and waits for the answer.",
      inputSchema: z.object({
        question: z.string(),
        options: z
          .array(z.object({ label: z.string(), description: z.string().optional() }))
          .max(20)
          .default([]),
        multiple: z.boolean().optional(),
      }),
      execute: ({ question, options, multiple }, { toolCallId }) =>
        askPeople(needs, { question, options, multiple, toolCallId }),
    }),
  };
}

async function leave({ mode, cwd, context, refused }: ToolNeeds, wish: Wish): Promise<void> {
  try {
    await allowed(mode, wish, cwd, context);
  } catch (error) {
    if (error instanceof Refused) refused(wish.toolCallId);
    throw error;
  }
}

async function carryOut(needs: ToolNeeds, name: "write" | "edit", { path, diff, apply }: Change, toolCallId: string) {
  await leave(needs, { tool: name, object: path, detail: { path, diff }, toolCallId });
  await apply();
  return { path, diff };
}

type Asked = {
  question: string;
  options: { label: string; description?: string }[];
  multiple?: boolean;
  toolCallId: string;
};

async function askPeople(needs: ToolNeeds, { question, options, multiple, toolCallId }: Asked) {
  const offered = options.map((option, index) => ({ id: String(index + 1), ...option }));
  const detail = { tool: "question" };
  const resolution = await needs.context.ask({
    ...{ kind: "question", title: question, detail, options: offered, toolCallId },
    multiple: multiple ?? false,
  });
  if (resolution.decision === "answer")
    return { answers: resolution.answers.map((answer) => offered.find(({ id }) => id === answer)?.label ?? answer) };
  needs.refused(toolCallId);
  throw new Refused(resolution.decision === "deny" ? resolution.reason : "The run is being stopped.");
}
