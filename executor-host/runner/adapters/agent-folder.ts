/**
 * Where an agent keeps what it needs to go on later (conversations, settings): inside the workspace, so that it is saved
 * and restored with it, and out of the sight of git, so that `git add -A` does not commit it.
 */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";

export function agentFolder(cwd: string, name: string): string {
  return path.join(cwd, ".gantry", "agent", name);
}

/** Makes the folder when it is not there. @throws the file system's error */
export async function prepareAgentFolder(cwd: string, name: string): Promise<string> {
  const folder = agentFolder(cwd, name);
  await mkdir(folder, { recursive: true });
  try {
    await writeFile(path.join(cwd, ".gantry", ".gitignore"), "*\n", { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error; // somebody's own is left as it is
  }
  return folder;
}
