/** What runs on this machine, as a test needs to know it. */
import { readdir, readFile, readlink } from "node:fs/promises";

/** Programs that work in this folder, the runner aside: how each was called. */
export async function processesIn(cwd: string): Promise<string[]> {
  return (await found(cwd)).map(({ command }) => command);
}

/** Ends what a runner that was itself killed has left in this folder. */
export async function endProcessesIn(cwd: string): Promise<void> {
  for (const { pid } of await found(cwd)) process.kill(pid, "SIGKILL");
}

async function found(cwd: string): Promise<{ pid: number; command: string }[]> {
  const found: { pid: number; command: string }[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [at, command] = await Promise.all([
      readlink(`/proc/${pid}/cwd`).catch(() => ""),
      readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""),
    ]);
    if (at.startsWith(cwd) && command !== "" && !command.includes("runner.mjs"))
      found.push({ pid: Number(pid), command: command.replaceAll("\0", " ") });
  }
  return found;
}
