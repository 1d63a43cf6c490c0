/** Folders and files swapped for links to the outside while the workspace is read, scanned and removed. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ParentCursor } from "../../executor-host/workspace/directory-handle.ts";
import { isAboutTheFile } from "../../executor-host/workspace/errors.ts";
import { readContent, sha256 } from "../../executor-host/workspace/read-content.ts";
import { removeTree } from "../../executor-host/workspace/remove-tree.ts";
import { buildSnapshot } from "../../executor-host/workspace/snapshot-builder.ts";
import { fixture } from "../executor-host/workspace/fixture.ts";
import { SECRET, startSwapper } from "../executor-host/workspace/swapper.ts";
import type { Fault } from "./fault.ts";

const READS = 4_400;
const BUILDS = 100;
const REMOVALS = 500;

export const linkSwap: Fault = {
  name: "link-swap",
  how: `${READS} readings, ${BUILDS} snapshots and ${REMOVALS} removals a trial while a thread swaps a folder and a file for links to the outside as fast as it can: nothing from outside is read, nothing outside is removed (long form: 100,000 attempts)`,
  trials: { long: 20, short: 0 },
  note: (figures) =>
    `${figures.reduce((sum, { attempts = 0 }) => sum + attempts, 0)} attempts, ${figures.reduce((sum, { swaps = 0 }) => sum + swaps, 0)} rounds of swaps, ${figures.reduce((sum, { refused = 0 }) => sum + refused, 0)} readings refused`,
  async open() {
    const outsideHash = sha256(Buffer.from(SECRET));
    return {
      async trial() {
        const at = fixture();
        at.write("dir/file", "inside");
        at.write("file", "inside");
        const swapper = await startSwapper(at.root);
        const violations: string[] = [];
        let refused = 0;
        try {
          for (let i = 0; i < READS; i++) {
            const parents = new ParentCursor(at.root);
            try {
              const { directory, name } = parents.parentOf(i % 2 === 0 ? "dir/file" : "file");
              const { hash } = await readContent(directory, name, () => undefined);
              if (hash === outsideHash) violations.push(`reading ${i} gave what lies outside`);
            } catch (error) {
              if (!isAboutTheFile(error)) throw error;
              refused++;
            } finally {
              parents.close();
            }
          }
          for (let i = 0; i < BUILDS; i++) {
            const emit = async () => {};
            const built = await buildSnapshot({ root: at.root, sessionId: "ses_1", now: Date.now, emit });
            if (built.changed && JSON.stringify(built.manifest).includes(outsideHash))
              violations.push(`snapshot ${i} holds what lies outside`);
          }
          for (let i = 0; i < REMOVALS; i++) {
            tolerant(() => removeTree(join(at.root, "dir")));
            if (!existsSync(join(swapper.outside, "file"))) violations.push(`removal ${i} reached what lies outside`);
            tolerant(() => {
              mkdirSync(join(at.root, "dir"));
              writeFileSync(join(at.root, "dir/made-again"), "inside", { flag: "wx" });
            });
            rmSync(join(swapper.outside, "made-again"), { force: true });
          }
          if (refused === 0 || swapper.rounds() === 0) violations.push("nothing was raced");
          const attempts = READS + BUILDS + REMOVALS;
          return { violations, figures: { attempts, refused, swaps: swapper.rounds() } };
        } finally {
          await swapper.stop();
          at.dispose();
        }
      },
      async dispose() {},
    };
  },
};

function tolerant(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isAboutTheFile(error)) throw error;
  }
}
