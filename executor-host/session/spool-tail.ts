/**
 * The last words of a run whose worker died: what the runner had put into its spool and nobody had read yet. The folder
 * belonged to the worker, so nothing in it is trusted: no links, no special files, a bound on the size, every line checked.
 */
import { constants } from "node:fs";
import { lstat, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { type RunnerEvent, runnerEventSchema } from "#protocol/runner-api.ts";

const MAX_BYTES = 64 * 1024 * 1024;

/** The events after `lastN`, in order, up to the first line that does not fit; none when there is no such spool. */
export async function spoolTail(runDir: string, runId: string, lastN: number): Promise<RunnerEvent[]> {
  const text = await readSpool(runDir, runId);
  const events: RunnerEvent[] = [];
  let expected = lastN + 1;
  // The last piece is a line that was not finished, or empty.
  for (const line of text.split("\n").slice(0, -1)) {
    const event = parseLine(line);
    if (!event || event.n < expected) continue;
    if (event.n > expected) break;
    events.push(event);
    expected++;
  }
  return events;
}

/** Removes a run's spool, so that another attempt of the run is not taken for a repetition. */
export async function removeSpool(runDir: string, runId: string): Promise<void> {
  if (await isDirectory(join(runDir, "spool"))) await rm(spoolPath(runDir, runId), { force: true });
}

function spoolPath(runDir: string, runId: string): string {
  if (!/^[A-Za-z0-9_-]+$/.test(runId)) throw new Error(`${runId} is no run id`);
  return join(runDir, "spool", `${runId}.jsonl`);
}

async function readSpool(runDir: string, runId: string): Promise<string> {
  if (!(await isDirectory(join(runDir, "spool")))) return "";
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(spoolPath(runDir, runId), flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ELOOP") return undefined;
    throw error;
  });
  if (!file) return "";
  try {
    const info = await file.stat();
    return info.isFile() && info.size <= MAX_BYTES ? await file.readFile("utf8") : "";
  } finally {
    await file.close();
  }
}

function parseLine(line: string): RunnerEvent | undefined {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const parsed = runnerEventSchema.safeParse(json);
  return parsed.success ? parsed.data : undefined;
}

async function isDirectory(path: string): Promise<boolean> {
  const info = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return info?.isDirectory() ?? false;
}
