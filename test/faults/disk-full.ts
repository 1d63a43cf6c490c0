/** The disk of a host is full in the middle of a run, and has room again later. */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import type { Fault } from "./fault.ts";
import { Pool } from "./pool.ts";
import { faulty, hostFolder, RealHost } from "./real-host.ts";

const DELTAS = 200;
const EVERY_MS = 15;
const SIZE_MIB = 512;

export const diskFull: Fault = {
  name: "disk-full",
  how: `the host's state lies on a file system of ${SIZE_MIB} MiB that is filled to the last byte after as many of ${DELTAS} deltas as the seed says: the run ends once, with all that was shown, in success or with a reason; with room again the session's next run succeeds, by the same daemon; recovery is from the room to the end of that run`,
  needs: "root",
  trials: { long: 20, short: 1 },
  note: (figures) => `runs that succeeded all the same: ${figures.filter(({ succeeded }) => succeeded).length}`,
  async open() {
    const pool = await Pool.open();
    const folder = hostFolder();
    const { dir } = folder;
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "tmpfs", dir]);
    const host = await RealHost.joined(pool, pool.plane.url, folder);
    host.start();
    return {
      async trial(random) {
        const position = random.int(1, DELTAS - 100);
        const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`);
        try {
          await run.until(`${position} deltas`, () => run.said.length >= position);
          const shown = run.said.length;
          const hog = join(dir, "hog");
          fill(hog);
          const violations: string[] = [];
          if (statfsSync(dir).bavail > 0) violations.push(`there is room for ${statfsSync(dir).bavail} blocks`);
          try {
            await run.until("its end on a full disk", () => run.ended !== undefined);
          } catch (error) {
            violations.push(String(error), ...(host.daemon?.log.slice(-5) ?? []));
          }
          rmSync(hog);
          if (run.said.length < shown) violations.push("what was shown is gone");
          if (run.ended === "failed internal") violations.push("it failed without a reason that helps");
          const began = performance.now();
          const next = await host.follow("stream 10 1", run.sessionId);
          await next.until("the next run's end", () => next.ended !== undefined);
          const recoveryMs = performance.now() - began;
          violations.push(...run.flaws, ...(await faulty(host, next, 10)));
          next.stop();
          if (host.daemon?.exitCode !== null) violations.push("the daemon has ended");
          return { violations, recoveryMs, figures: { position, succeeded: run.ended === "succeeded" ? 1 : 0 } };
        } finally {
          run.stop();
        }
      },
      async dispose() {
        await host.end();
        folder.endWorkers();
        execFileSync("umount", ["-l", dir]);
        folder.remove();
        await pool.dispose();
      },
    };
  },
};

/** Writes until nothing more fits. */
function fill(path: string): void {
  const file = openSync(path, "w");
  for (let size = 1024 * 1024; size >= 1; size = size / 16) {
    const zeros = Buffer.alloc(size);
    try {
      for (;;) if (writeSync(file, zeros) === 0) break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
    }
  }
  closeSync(file);
}
