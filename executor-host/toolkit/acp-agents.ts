/** Puts the operator's own agents where the runner reads them; what the settings no longer name goes. */
import { rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { ACP_AGENTS_FILE, type AcpAgents } from "#protocol/acp-agents.ts";

/** Safe while workers run: the file appears whole. @throws the file system's error */
export async function placeAcpAgents(toolkitDir: string, agents: AcpAgents | undefined): Promise<void> {
  const target = path.join(toolkitDir, ACP_AGENTS_FILE);
  if (!agents) return rm(target, { force: true });
  const temporary = `${target}.${process.pid}`;
  await writeFile(temporary, JSON.stringify(agents), { mode: 0o644 });
  await rename(temporary, target);
}
