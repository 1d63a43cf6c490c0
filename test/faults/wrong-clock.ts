/** A host whose clock is an hour off, and is set to an hour off the other way in the middle of a run. */
import { performance } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import type { Fault } from "./fault.ts";
import { Pool } from "./pool.ts";
import { faulty, RealHost } from "./real-host.ts";

const HOUR_MS = 60 * 60_000;
const DELTAS = 100;
const EVERY_MS = 15;
const PRELOAD = fileURLToPath(new URL("../support/shifted-clock.mjs", import.meta.url));

export const wrongClock: Fault = {
  name: "wrong-clock",
  how: `the host's clock is an hour fast or slow, and jumps to the other side after as many of ${DELTAS} deltas as the seed says: the host comes in, holds its lease, the run succeeds at its first attempt, and the log's times are the server's; recovery is from the jump to the next event`,
  trials: { long: 20, short: 2 },
  async open() {
    const pool = await Pool.open();
    const host = await RealHost.joined(pool);
    return {
      async trial(random, index) {
        const shiftMs = index % 2 === 0 ? HOUR_MS : -HOUR_MS;
        host.start({ NODE_OPTIONS: `--import=${PRELOAD}`, SHIFT_MS: String(shiftMs) });
        const run = await host.follow(`stream ${DELTAS} ${EVERY_MS}`);
        try {
          const position = random.int(1, DELTAS - 10);
          await run.until(`${position} deltas`, () => run.said.length >= position);
          const began = performance.now();
          host.daemon?.kill("SIGUSR2");
          await run.until("the next event", () => run.lastAt > began);
          const recoveryMs = run.lastAt - began;
          await run.until("the end", () => run.ended !== undefined);
          const violations = await faulty(host, run, DELTAS);
          if (run.clockOffMs > HOUR_MS / 2) violations.push(`an event's time is ${run.clockOffMs} ms off`);
          return { violations, recoveryMs, figures: { position } };
        } finally {
          run.stop();
          await host.end("SIGTERM");
        }
      },
      async dispose() {
        await host.end();
        await host.folder.remove();
        await pool.dispose();
      },
    };
  },
};
