/** A host's daemon starts while its disk is full: the one before it was killed in the middle of a run, or ended in good order. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { within } from "../support/scripted-host.ts";
import { fill, mountSmall, unmount } from "../support/small-disk.ts";
import { SIZE_MIB } from "./disk-full.ts";
import type { Fault } from "./fault.ts";
import { Pool } from "./pool.ts";
import { faulty, hostFolder, RealHost } from "./real-host.ts";

const DELTAS = 200;
const EVERY_MS = 15;
/** Between two looks at what the daemon says of itself; each is a process. */
const ASK_MS = 100;

export const diskFullStart: Fault = {
  name: "disk-full-start",
  how: `the host's state lies on a file system of ${SIZE_MIB} MiB that is filled to the last byte while no daemon runs, which was killed after as many of ${DELTAS} deltas as the seed says, or ended between two runs; the next daemon lives and says why it cannot work; with room it begins, a run under way goes on and succeeds at its first attempt, and so does the next; recovery is from the room to the daemon's first connection`,
  needs: "root",
  trials: { long: 20, short: 1 },
  async open() {
    const pool = await Pool.open();
    const folder = hostFolder();
    const { dir } = folder;
    mountSmall(dir, SIZE_MIB);
    const host = await RealHost.joined(pool, pool.plane.url, folder);
    const says = async () =>
      JSON.parse((await folder.gantry(["host", "status", "--json"])).stdout) as { control?: string; diskFull?: string };
    const until = async (what: string, holds: (status: Awaited<ReturnType<typeof says>>) => boolean) => {
      const look = async () => {
        while (!holds(await says())) await delay(ASK_MS);
      };
      await within(look(), () => `the daemon to say ${what}; it ended ${host.daemon?.exitCode}`, 20_000);
    };
    // One for all: a host has as many slots as its machine has processors.
    let sessionId: string | undefined;
    return {
      async trial(random, index) {
        const hog = join(dir, "hog");
        const violations: string[] = [];
        if (!host.daemon) host.start();
        const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`, sessionId);
        sessionId = run.sessionId;
        const isInMiddle = index % 2 === 0;
        const position = random.int(1, DELTAS - 100);
        try {
          if (isInMiddle) await run.until(`${position} deltas`, () => run.said.length >= position);
          else await run.until("its end", () => run.ended !== undefined);
          await host.end(isInMiddle ? "SIGKILL" : "SIGTERM");
          fill(hog);
          host.start();
          await until("that its disk is full", ({ diskFull }) => diskFull !== undefined);
          if (host.daemon?.exitCode !== null) violations.push("the daemon has ended");
          rmSync(hog);
          const began = performance.now();
          await until("that it is connected", ({ control }) => control === "live");
          const recoveryMs = performance.now() - began;
          await run.until("its end", () => run.ended !== undefined);
          const next = await host.follow("stream 10 1", sessionId);
          await next.until("the next run's end", () => next.ended !== undefined);
          next.stop();
          violations.push(...(await faulty(host, run, DELTAS)), ...(await faulty(host, next, 10)));
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
