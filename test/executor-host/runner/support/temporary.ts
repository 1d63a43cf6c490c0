import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";

/** A folder that goes with the test, or when `atEnd` says. Its path is short: it holds sockets. */
export async function temporaryFolder(atEnd: (clean: () => Promise<void>) => void = onTestFinished): Promise<string> {
  const dir = await mkdtemp(path.join(os.tmpdir(), "gr-"));
  atEnd(() => rm(dir, { recursive: true, force: true, maxRetries: 3 }));
  return dir;
}
