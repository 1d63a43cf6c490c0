/**
 * Who a pid is. Pids are used again, so a pid alone proves nothing: it counts with the time at which its process began,
 * and, because that time is counted from the boot, with the boot.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Gives an opaque text that no other process of this machine ever has; undefined when there is no such process. */
export async function fingerprint(pid: number): Promise<string | undefined> {
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

async function fromProc(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile("/proc/sys/kernel/random/boot_id", "utf8"),
    ]);
    // proc_pid_stat(5): the name (2) is in parentheses and may hold anything; from the state (3) on all is plain.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, startTicks] = [fields[0], fields[19]];
    // A zombie runs nothing any more: it has ended, and only waits for its parent to look.
    return state === "Z" || state === "X" ? undefined : `${startTicks}@${boot.trim()}`;
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** To the second, which is what `ps` has: the boot is in the date. */
async function fromPs(pid: number): Promise<string | undefined> {
  const options = { env: { ...process.env, LC_ALL: "C" } };
  const { stdout } = await run("ps", ["-o", "stat=,lstart=", "-p", String(pid)], options).catch((error: unknown) => {
    // ps answers 1 when it knows no such process.
    if (error instanceof Error && "code" in error && error.code === 1) return { stdout: "" };
    throw error;
  });
  const [state, ...started] = stdout.trim().split(/\s+/);
  return !state || state.startsWith("Z") ? undefined : started.join(" ");
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH");
}
