/** A worker with a toolkit in which no agent's program is installed. */
import { chmod, link, mkdtemp, rm } from "node:fs/promises";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { ensureToolkit } from "../../support/toolkit.ts";
import { finishedOf } from "./support/read.ts";
import { sharedWorker } from "./support/shared-worker.ts";

let bare: Promise<string> | undefined;
const worker = sharedWorker({
  toolkit: () => {
    bare ??= bareToolkit();
    return bare;
  },
});

afterAll(async () => {
  if (bare) await rm(await bare, { recursive: true });
});

/** Beside the real one: links do not lead from one file system to another. */
async function bareToolkit(): Promise<string> {
  const toolkit = await ensureToolkit();
  const dir = await mkdtemp(`${toolkit}-bare-`);
  await chmod(dir, 0o755); // the worker's user reads it
  for (const name of ["node", "runner.mjs"]) await link(path.join(toolkit, name), path.join(dir, name));
  return dir;
}

test.each(["claude-code", "codex-app-server", "opencode", "acp"] as const)(
  "[R-5.7] %s: a program that is not installed is cli_missing, and what installs it is said",
  async (provider) => {
    const { client, cwd, runId } = await worker.next();
    await client.start({ runId, provider, prompt: "SCN:text", cwd });
    const finished = finishedOf(await client.events(runId));
    expect(finished).toMatchObject({ outcome: "failed", reason: "cli_missing" });
    expect(finished.evidence).toContain("The Hosts page shows the command");
  },
);
