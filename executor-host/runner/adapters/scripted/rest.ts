/** What of a script is still to come, kept with the workspace: a run that was parked goes on where it asked. */
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { agentFolder, prepareAgentFolder } from "../agent-folder.ts";

const FILE = "rest.txt";

/** Keeps the lines from the question on. @throws the file system's error */
export async function keepRest(cwd: string, lines: readonly string[]): Promise<void> {
  await writeFile(path.join(await prepareAgentFolder(cwd, "scripted"), FILE), lines.join("\n"));
}

/** What was kept, once; undefined when nothing was. @throws the file system's error */
export async function takeRest(cwd: string): Promise<string | undefined> {
  const file = path.join(agentFolder(cwd, "scripted"), FILE);
  try {
    const text = await readFile(file, "utf8");
    await rm(file);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
