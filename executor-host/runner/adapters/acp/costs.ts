/**
 * What each conversation of an agent has cost, in US dollars, up to now. Agents count from a conversation's beginning; one
 * that takes it up again in another process says nothing of what was before, but goes on counting.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";

const FILE = "gantry-costs.json";
/** Older ones are forgotten: a conversation that is taken up after so many others is counted anew. */
const MAX_CONVERSATIONS = 200;

/** @param folder the agent's own, which is saved with the workspace */
export async function costBefore(folder: string, sessionId: string): Promise<number> {
  return (await read(folder))[sessionId] ?? 0;
}

/** @throws the file system's error */
export async function keepCost(folder: string, sessionId: string, usd: number): Promise<void> {
  const { [sessionId]: _before, ...others } = await read(folder);
  const entries = [...Object.entries(others), [sessionId, usd] as const].slice(-MAX_CONVERSATIONS);
  await writeFile(path.join(folder, FILE), JSON.stringify(Object.fromEntries(entries)));
}

/** The workspace is the agent's to write: what is not ours counts for nothing. */
async function read(folder: string): Promise<Record<string, number>> {
  try {
    const costs: unknown = JSON.parse(await readFile(path.join(folder, FILE), "utf8"));
    if (typeof costs !== "object" || costs === null) return {};
    return Object.fromEntries(Object.entries(costs).filter(([, usd]) => typeof usd === "number"));
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
