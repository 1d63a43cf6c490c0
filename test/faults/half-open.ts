/** The lines between a host and its control plane go dead without a word, in the middle of a run. */
import { performance } from "node:perf_hooks";
import { TIMES } from "#protocol/limits.ts";
import { type Dead, FreezingProxy } from "../support/freezing-proxy.ts";
import type { Fault } from "./fault.ts";
import { Pool } from "./pool.ts";
import { faulty, hostFolder, RealHost } from "./real-host.ts";

const DELTAS = 100;
const EVERY_MS = 15;
/** Dialling again has a back-off of its own, and a shared machine its moments. */
const DIAL_MS = 3_000;

export const halfOpen: Fault = {
  name: "half-open",
  how: `every line of a host goes dead upwards, downwards or both ways, with nobody told, after as many of ${DELTAS} deltas as the seed says; new lines carry: the host notices ${TIMES.linkSilenceMs / 1000} s after the last word, dials again before its lease is lost, and the run succeeds at its first attempt with every word once; recovery is until the next word`,
  trials: { long: 21, short: 0 },
  recoverWithinMs: TIMES.linkSilenceMs + DIAL_MS,
  async open() {
    const pool = await Pool.open();
    const proxy = await FreezingProxy.listen(pool.plane.url);
    const host = await RealHost.joined(pool, new URL(proxy.through(pool.plane.url)).origin, hostFolder());
    host.start();
    // One for all: a host has as many slots as its machine has processors.
    let sessionId: string | undefined;
    return {
      async trial(random, index) {
        const dead = (["both", "up", "down"] as const satisfies Dead[])[index % 3] ?? "both";
        const position = random.int(1, DELTAS - 30);
        const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`, sessionId);
        sessionId = run.sessionId;
        try {
          await run.until(`${position} deltas`, () => run.said.length >= position);
          const began = performance.now();
          proxy.freeze(dead);
          // What had passed before is no sign of life.
          await run.until("life after it", () => run.lastAt - began > EVERY_MS * 20);
          const recoveryMs = run.lastAt - began;
          await run.until("its end", () => run.ended !== undefined);
          const wrong = (await faulty(host, run, DELTAS)).map((flaw) => `dead ${dead}: ${flaw}`);
          return { violations: wrong, recoveryMs, figures: { position } };
        } catch (error) {
          throw new Error(`dead ${dead}: ${error}; ${host.daemon?.log.slice(-12).join("")}`);
        } finally {
          run.stop();
        }
      },
      async dispose() {
        await host.end();
        await host.folder.remove();
        await proxy.close();
        await pool.dispose();
      },
    };
  },
};
