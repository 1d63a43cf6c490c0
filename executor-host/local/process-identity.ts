/**
 * A process id alone does not name a process: ids are used again. Together with the time the process began it does.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export type ProcessIdentity = { pid: number; began: string };

/** The identity of a running process; undefined when there is none with this id. */
export function identify(pid: number): ProcessIdentity | undefined {
  const began = process.platform === "linux" ? beganFromProc(pid) : beganFromPs(pid);
  return began === undefined ? undefined : { pid, began };
}

/** Whether exactly this process still runs. */
export function lives(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.began === identity.began;
}

/** SIGKILL to exactly this process; nothing when it is gone. */
export function killNow(identity: ProcessIdentity | undefined): void {
  if (identity === undefined || !lives(identity)) return;
  try {
    process.kill(identity.pid, "SIGKILL");
  } catch (error) {
    if (!hasCode(error, "ESRCH")) throw error;
  }
}

/**
 * Ends the process whose identity was written to `record`, when it still lives, and waits until it is gone. Gives whether
 * there was one. A record that is missing or damaged names nobody.
 */
export async function endRecorded(record: string): Promise<boolean> {
  const left = readRecord(record);
  if (left === undefined || !lives(left)) return false;
  killNow(left);
  while (lives(left)) await delay(20);
  return true;
}

/** Whom a record names, a file's text or a link's target; undefined when it is missing or damaged. */
export function readRecord(record: string): ProcessIdentity | undefined {
  try {
    const { pid, began } = JSON.parse(textOf(record));
    return typeof pid === "number" && typeof began === "string" ? { pid, began } : undefined;
  } catch (error) {
    if (hasCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function textOf(record: string): string {
  try {
    return readlinkSync(record);
  } catch (error) {
    if (hasCode(error, "EINVAL")) return readFileSync(record, "utf8");
    throw error;
  }
}

function beganFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name in parentheses may itself hold spaces and parentheses; the fields are counted from the last one. See proc(5).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fields;
    return state === "Z" || state === "X" ? undefined : fields[19];
  } catch {
    return undefined; // Gone: that is the answer.
  }
}

function beganFromPs(pid: number): string | undefined {
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).trim() || undefined;
  } catch {
    return undefined; // ps exits with 1 when there is no such process.
  }
}

/** Whether an error carries this system code (`ENOENT`, `EEXIST`, …). */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
