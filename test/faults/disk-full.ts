/** The disk of a host is full in the middle of a run, and has room again later. */
import { rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { fill, mountSmall, unmount } from "../support/small-disk.ts";
import type { Fault } from "./fault.ts";
import { Pool } from "./pool.ts";
import { faulty, hostFolder, RealHost } from "./real-host.ts";

const DELTAS = 200;
const EVERY_MS = 15;
export const SIZE_MIB = 512;

export const diskFull: Fault = {
  name: "disk-full",
  how: `the host's state lies on a file system of ${SIZE_MIB} MiB that is filled to the last byte after as many of ${DELTAS} deltas as the seed says: the run is held back, people and \`gantry host status\` are told why, the daemon lives; with room again the run goes on and succeeds at its first attempt, and so does the next; recovery is from the room to the run's next word`,
  needs: "root",
  trials: { long: 20, short: 1 },
  async open() {
    const pool = await Pool.open();
    const folder = hostFolder();
    const { dir } = folder;
    mountSmall(dir, SIZE_MIB);
    const host = await RealHost.joined(pool, pool.plane.url, folder);
    host.start();
    // One for all: a host has as many slots as its machine has processors.
    let sessionId: string | undefined;
    return {
      async trial(random) {
        const position = random.int(1, DELTAS - 100);
        const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`, sessionId);
        sessionId = run.sessionId;
        const hog = join(dir, "hog");
        const violations: string[] = [];
        try {
          await run.until(`${position} deltas`, () => run.said.length >= position);
          fill(hog);
          if (statfsSync(dir).bavail > 0) violations.push(`there is room for ${statfsSync(dir).bavail} blocks`);
          await run.until("a word about the disk", () => run.warnings.some((said) => said.includes("full")));
          const { diskFull } = JSON.parse((await host.folder.gantry(["host", "status", "--json"])).stdout);
          if (!diskFull) violations.push("the host's status does not say that the disk is full");
          const held = run.said.length;
          if (held >= DELTAS) violations.push("it was not held back");
          rmSync(hog);
          const began = performance.now();
          await run.until("its next word", () => run.said.length > held);
          const recoveryMs = performance.now() - began;
          await run.until("its end", () => run.ended !== undefined);
          const next = await host.follow("stream 10 1", run.sessionId);
          await next.until("the next run's end", () => next.ended !== undefined);
          next.stop();
          violations.push(...(await faulty(host, run, DELTAS)), ...(await faulty(host, next, 10)));
          if (host.daemon?.exitCode !== null) violations.push("the daemon has ended");
          return { violations, recoveryMs, figures: { position } };
        } catch (error) {
          throw new Error(`${error}; ${host.daemon?.log.slice(-5).join("")}`);
        } finally {
          rmSync(hog, { force: true });
          run.stop();
        }
      },
      async dispose() {
        await host.end();
        await folder.endWorkers();
        unmount(dir);
        await folder.remove();
        await pool.dispose();
      },
    };
  },
};
