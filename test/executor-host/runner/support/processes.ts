/** What runs on this machine, as a test needs to know it. */
import { readdir, readFile, readlink } from "node:fs/promises";

/** Programs that work in this folder, the runner aside. */
export async function processesIn(cwd: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [at, command] = await Promise.all([
      readlink(`/proc/${pid}/cwd`).catch(() => ""),
      readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    ]);
    if (at.startsWith(cwd) && command !== "" && !command.includes("runner.mjs"))
      found.push(command.replaceAll("\0", " "));
  }
  return found;
}
