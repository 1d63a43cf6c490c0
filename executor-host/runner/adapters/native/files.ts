/** Files of the workspace, as the agent reads and changes them. Every answer is bounded. */
import { createReadStream } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { lineDiff } from "../line-diff.ts";
import { existingPath, writablePath } from "../workspace-path.ts";

const READ_LINES = 2_000;
const READ_CHARS = 64 * 1024;
/** A file that is larger is not edited by replacing text in it, nor shown as a diff. */
const EDIT_BYTES = 4 * 1024 * 1024;

export type ReadResult = { path: string; content: string; from: number; lines: number; more: boolean };

/** @param from the first line, 1 for the beginning. @throws Error in words for the agent */
export async function readLines(cwd: string, file: string, from = 1, count = READ_LINES): Promise<ReadResult> {
  const target = await existingPath(cwd, file);
  if ((await stat(target)).isDirectory()) throw new Error(`${file} is a folder. Look into it with search.`);
  const stream = createReadStream(target);
  const wanted = Math.min(count, READ_LINES);
  const kept: string[] = [];
  let [number, chars, more] = [0, 0, false];
  try {
    for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
      if (line.includes("\0")) throw new Error(`${file} is not text.`);
      if (++number < from) continue;
      if (kept.length >= wanted || chars >= READ_CHARS) {
        more = true;
        break;
      }
      kept.push(line.slice(0, READ_CHARS - chars));
      chars += line.length + 1;
    }
  } finally {
    stream.destroy();
  }
  return { path: file, content: kept.join("\n"), from, lines: kept.length, more };
}

export type Change = { path: string; diff: string; apply: () => Promise<void> };

/** A new content for a file, as a change that has not happened yet. @throws OutsideWorkspace, or the file system's error */
export async function plannedWrite(cwd: string, file: string, content: string): Promise<Change> {
  const before = await textIfThere(cwd, file);
  return change(cwd, file, before, content);
}

/** A replacement in a file, as a change that has not happened yet. @throws Error in words for the agent */
export async function plannedEdit(
  cwd: string,
  file: string,
  { oldText, newText, all }: { oldText: string; newText: string; all: boolean },
): Promise<Change> {
  const before = await textIfThere(cwd, file);
  if (before === undefined) throw new Error(`${file} does not exist. Use write for a new file.`);
  if (oldText === "") throw new Error("old_string is empty: say which text is to be replaced.");
  const found = before.split(oldText).length - 1;
  if (found === 0)
    throw new Error(`old_string is not in ${file}. Read the file and give the text exactly as it stands.`);
  if (found > 1 && !all)
    throw new Error(`old_string is ${found} times in ${file}. Give more of the text around it, or set replace_all.`);
  // Not `replace` with a string: `$&` in the new text would mean something.
  return change(cwd, file, before, before.split(oldText).join(newText));
}

function change(cwd: string, file: string, before: string | undefined, after: string): Change {
  return {
    path: file,
    diff: lineDiff(file, before, after),
    apply: async () => writeFile(await writablePath(cwd, file), after),
  };
}

async function textIfThere(cwd: string, file: string): Promise<string | undefined> {
  try {
    const target = await existingPath(cwd, file);
    if ((await stat(target)).size > EDIT_BYTES) throw new Error(`${file} is too large to be changed here; use bash.`);
    return await readFile(target, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
