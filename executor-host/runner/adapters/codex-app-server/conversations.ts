/** Codex keeps each thread as sessions/<date>/rollout-<time>-<thread id>.jsonl below its home. */
import { glob } from "node:fs/promises";

const THREAD_ID = /^[0-9a-f-]{36}$/i;

/** Whether a thread is on this disk. Codex fails for one that is not. */
export async function hasConversation(codexHome: string, threadId: string): Promise<boolean> {
  if (!THREAD_ID.test(threadId)) return false;
  for await (const _ of glob(`sessions/**/rollout-*-${threadId}.jsonl*`, { cwd: codexHome })) return true;
  return false;
}
