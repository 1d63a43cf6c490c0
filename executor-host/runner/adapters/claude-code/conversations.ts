/**
 * Claude Code keeps each conversation as projects/<folder>/<conversation id>.jsonl below its configuration folder. At the
 * end of each run it adds what the whole conversation has cost so far (`cost-state`), and a resumed run counts on from
 * there: so that is what has to be taken off its usage.
 */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { noSpending, type Spending, spendingOf } from "./spending.ts";

const CONVERSATION_ID = /^[0-9a-f-]{36}$/i;
const COST_STATE = '"type":"cost-state"';

/** What an earlier conversation has used; undefined when it is not on this disk. */
export async function findConversation(configDir: string, conversationId: string): Promise<Spending | undefined> {
  if (!CONVERSATION_ID.test(conversationId)) return undefined;
  const projects = path.join(configDir, "projects");
  for (const project of await namesIn(projects)) {
    if (!(await namesIn(path.join(projects, project))).includes(`${conversationId}.jsonl`)) continue;
    return lastSpending(await readFile(path.join(projects, project, `${conversationId}.jsonl`), "utf8"));
  }
  return undefined;
}

function lastSpending(transcript: string): Spending {
  const line = transcript.split("\n").findLast((line) => line.includes(COST_STATE));
  if (line === undefined) return noSpending;
  const { modelUsage, totalCostUSD } = JSON.parse(line);
  return spendingOf(modelUsage, totalCostUSD);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw error;
  }
}
