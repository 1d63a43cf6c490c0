/** Something that readiness depends on was changed: a daemon that runs tells the pool at once, not within a minute. */
import type { StatePaths } from "../config.ts";
import { askDaemon, runningDaemon } from "../local-api.ts";

export async function tellDaemon(paths: StatePaths): Promise<void> {
  if (!runningDaemon(paths)) return;
  try {
    await askDaemon(paths, "POST", "/look");
  } catch (error) {
    // Not answering yet, or not any more: its next facts say it.
    const why = error instanceof Error ? error.message : String(error);
    process.stderr.write(`The running daemon was not told (${why}); it notices within a minute.\n`);
  }
}
