/**
 * The bound on a session's disk, which the engine cannot set (container-spec.ts): measured with each attempt to save while
 * a run is active, because that is when much has been written. A run that is over it ends.
 *
 * A session that is over stays usable for making room: a later run is ended only when it has taken even more.
 */
import { existsSync } from "node:fs";
import { diskUsage } from "../container/disk-usage.ts";
import type { Logger } from "../logs.ts";
import { RunFailed } from "./failure.ts";

/** Counting this many takes seconds; more is no workspace. */
const MAX_ENTRIES = 2_000_000;
const MiB = 1024 * 1024;

export type DiskLimitNeeds = {
  /** Folders that a worker can write to. */
  dirs: readonly string[];
  limitBytes(): number;
  runActive(): boolean;
  /** Ends the worker and with it the run. */
  end(): Promise<void>;
  logger: Logger;
};

export class DiskLimit {
  readonly #needs: DiskLimitNeeds;
  #verdict: RunFailed | undefined;
  /** What was there when a run was ended for it. */
  #knownBytes = 0;

  constructor(needs: DiskLimitNeeds) {
    this.#needs = needs;
  }

  /** Why the worker of this run was ended, if it was for its disk. */
  get verdict(): RunFailed | undefined {
    return this.#verdict;
  }

  /** Another run begins. */
  forget(): void {
    this.#verdict = undefined;
  }

  /** Never rejects: what cannot be measured is logged, and saving goes on. */
  async check(): Promise<void> {
    const { limitBytes, runActive, end, logger } = this.#needs;
    if (this.#verdict || !runActive()) return;
    try {
      const dirs = this.#needs.dirs.filter((dir) => existsSync(dir));
      const limit = limitBytes();
      const usage = await diskUsage(dirs, { bytes: Math.max(limit, this.#knownBytes), entries: MAX_ENTRIES });
      if (!usage.over || !runActive()) return;
      const all = await diskUsage(dirs, { bytes: Number.POSITIVE_INFINITY, entries: MAX_ENTRIES });
      this.#knownBytes = all.bytes;
      this.#verdict = new RunFailed("workspace_failed", evidence(all, limit));
      logger.warn({ ...all, limit }, "a run has taken too much of the disk, ending its worker");
      await end();
    } catch (error) {
      logger.error({ err: error }, "the disk of a session could not be bounded");
    }
  }
}

function evidence({ bytes, entries }: { bytes: number; entries: number }, limit: number): string {
  if (bytes <= limit) return `The workspace holds more than ${entries} files, which is more than this host takes.`;
  const megabytes = (of: number) => `${Math.ceil(of / MiB)} MiB`;
  return `The workspace takes ${megabytes(bytes)} of this host's disk; its limit is ${megabytes(limit)} (GANTRY_WORKSPACE_MIB). Let the next run remove what is not needed.`;
}
