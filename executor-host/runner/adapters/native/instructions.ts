/** What the agent is told before anything else: where it is, how to work, and what the project itself says to agents. */
import { readFile } from "node:fs/promises";
import type { ModelMessage } from "ai";
import { cutText } from "../../bounds.ts";
import { existingPath, OutsideWorkspace } from "../workspace-path.ts";

/** By custom of the field; the first that is there counts. */
const PROJECT_FILES = ["AGENTS.md", "CLAUDE.md"] as const;
const PROJECT_FILE_BYTES = 32 * 1024;

const HOW = `You are a coding agent. You work in a folder and finish what you were asked to do.
- Look before you change: read files and search. Keep to the style that you find. Change no more than is needed.
- Use edit for changes of a file and write for new files. Run commands with bash; check your work with the project's own tests.
- For work of several steps keep a to-do list with todo: the whole list every time, one item in progress.
- Ask with question only when you cannot find out yourself and a wrong guess would cost much.
- At the end say shortly what you did and what is left.`;

export async function instructions(cwd: string, appended: string | undefined): Promise<string> {
  const project = await projectFile(cwd);
  return [HOW, `Working directory: ${cwd}`, project, appended].filter(Boolean).join("\n\n");
}

/** A prompt as a message of its own. */
export function userMessage(text: string): ModelMessage {
  return { role: "user", content: text };
}

async function projectFile(cwd: string): Promise<string | undefined> {
  for (const name of PROJECT_FILES) {
    try {
      const text = await readFile(await existingPath(cwd, name), "utf8");
      return `${name} of this project says:\n${cutText(text, PROJECT_FILE_BYTES)}`;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Not there, not a file, or a link out of the workspace: then there is nothing to be told.
      if (code !== "ENOENT" && code !== "EISDIR" && code !== "EACCES" && !(error instanceof OutsideWorkspace))
        throw error;
    }
  }
  return undefined;
}
