/**
 * What a daemon writes down about a worker process, in the worker's run folder, so that the next daemon finds it again:
 * the labels that a container would have, and what proves which process it is.
 */
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const fileName = "worker.json";

const processRecord = z.object({
  installationId: z.string().min(1),
  hostId: z.string(),
  sessionId: z.string().min(1),
  epoch: z.number().int(),
  pid: z.number().int().positive(),
  fingerprint: z.string(),
  mark: z.string().min(1),
});
export type ProcessRecord = z.infer<typeof processRecord>;

/** `pid:<pid>:<fingerprint>`, the id of a worker in process mode. */
export function processWorkerId({ pid, fingerprint }: Pick<ProcessRecord, "pid" | "fingerprint">): string {
  return `pid:${pid}:${fingerprint}`;
}

/** The parts of a worker's id. @throws Error when it is not the id of a process */
export function parseProcessWorkerId(id: string): { pid: number; fingerprint: string } {
  const match = /^pid:([1-9][0-9]*):(.+)$/.exec(id);
  if (!match?.[1] || !match[2]) throw new Error(`not the id of a worker process: ${id}`);
  return { pid: Number(match[1]), fingerprint: match[2] };
}

export async function writeRecord(runDir: string, record: ProcessRecord): Promise<void> {
  const path = join(runDir, fileName);
  await writeFile(`${path}.new`, `${JSON.stringify(record)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

export async function removeRecord(runDir: string): Promise<void> {
  await rm(join(runDir, fileName), { force: true });
}

/** The record in one run folder; undefined when there is none, or none that can be understood. */
export async function readRecord(runDir: string): Promise<ProcessRecord | undefined> {
  const text = await readFile(join(runDir, fileName), "utf8").catch(missing);
  if (text === undefined) return undefined;
  try {
    return processRecord.parse(JSON.parse(text));
  } catch (error) {
    // Writing is atomic, so this is not ours. Unknown means: keep your hands off.
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}

/** The records of this installation in all run folders below `runRoot`. */
export async function listRecords(
  runRoot: string,
  installationId: string,
): Promise<{ runDir: string; record: ProcessRecord }[]> {
  const entries = (await readdir(runRoot, { withFileTypes: true }).catch(missing)) ?? [];
  const dirs = entries.filter((entry) => entry.isDirectory()).map((entry) => join(runRoot, entry.name));
  const stored = await Promise.all(dirs.map(async (runDir) => ({ runDir, record: await readRecord(runDir) })));
  return stored.flatMap(({ runDir, record }) =>
    record?.installationId === installationId ? [{ runDir, record }] : [],
  );
}

function missing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return;
  throw error;
}
