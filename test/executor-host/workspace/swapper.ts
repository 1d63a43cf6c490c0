/**
 * Somebody who swaps a folder and a file of a workspace for links to the outside and back, in a thread of its own, as fast
 * as it can.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

export const SECRET = "outside: secret";
const SWAPPER = `
  const { renameSync, symlinkSync, unlinkSync } = require("node:fs");
  const { workerData: { root, outside, flag } } = require("node:worker_threads");
  const tries = (f) => { try { f(); } catch {} };
  while (Atomics.load(flag, 0) === 0) {
    tries(() => renameSync(root + "/dir", root + "/.parked"));
    tries(() => symlinkSync(outside, root + "/dir"));
    tries(() => unlinkSync(root + "/dir"));
    tries(() => renameSync(root + "/.parked", root + "/dir"));
    tries(() => renameSync(root + "/file", root + "/.file"));
    tries(() => symlinkSync(outside + "/file", root + "/file"));
    tries(() => unlinkSync(root + "/file"));
    tries(() => renameSync(root + "/.file", root + "/file"));
    Atomics.add(flag, 1, 1);
  }
`;

export type Swapper = {
  /** The folder that the links lead to; it has a `file` with [SECRET]. */
  outside: string;
  rounds: () => number;
  stop: () => Promise<void>;
};

/** Swaps `dir` and `file` of `root`, which are there. Resolves when it swaps. */
export async function startSwapper(root: string): Promise<Swapper> {
  const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
  writeFileSync(join(outside, "file"), SECRET);
  const flag = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(SWAPPER, { eval: true, workerData: { root, outside, flag } });
  await new Promise((resolve) => worker.once("online", resolve));
  return {
    outside,
    rounds: () => Atomics.load(flag, 1),
    async stop() {
      Atomics.store(flag, 0, 1);
      await new Promise((resolve) => worker.once("exit", resolve));
      rmSync(outside, { recursive: true });
    },
  };
}
