/** The disk with the workspaces, or the one with the engine's notes, is full in the middle of a restore or a sync. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StoreError } from "../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { describeTree, fakeTools, fixture } from "../executor-host/workspace/fixture.ts";
import type { Fault } from "./fault.ts";
import { dangling, differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";

const SIZE_MIB = 64;

export const workspaceFull: Fault = {
  name: "workspace-full",
  how: `a file system of ${SIZE_MIB} MiB is filled up when a restore fetches its first pack, or before a sync notes what it has made: \`disk_full\` that may be tried again, the tree as it was and nothing left beside it, no snapshot that points to nothing; with room again the same is done whole`,
  needs: "root",
  trials: { long: 40, short: 4 },
  async open() {
    const at = fixture();
    const small = join(at.folder, "small");
    mkdirSync(small);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_MIB}m`, "tmpfs", small]);
    const hog = join(small, "hog");
    return {
      async trial(random, index) {
        const place = join(small, "place");
        const there = { ...at.input, root: join(place, "workspace"), stateDir: join(place, "state") };
        mkdirSync(there.root, { recursive: true });
        const violations: string[] = [];
        const refused = async (work: Promise<unknown>) => {
          const end = await work.then(
            () => "success",
            (error) => error,
          );
          if (!(end instanceof StoreError) || end.reason !== "disk_full" || !end.retry)
            violations.push(`it ended with ${end} on a full disk`);
        };
        try {
          for (const name of readdirSync(at.root)) rmSync(join(at.root, name), { recursive: true });
          edit(random, at.root, 40);
          writeFileSync(join(at.root, "large"), Buffer.alloc(random.int(3, 6) * 1_000_000, index));
          const { snapshotId } = await syncWorkspace(at.input);
          if (index % 2 === 0) {
            edit(random, there.root, 20);
            const old = describeTree(there.root);
            at.peer.fault = ({ path }) => {
              if (path.startsWith("/packs")) fill(hog, random.int(0, 1_000_000));
              return undefined;
            };
            await refused(restoreWorkspace({ ...there, snapshotId }, fakeTools()));
            violations.push(...differences("the old tree", describeTree(there.root), old));
            const beside = readdirSync(place).filter((name) => name.startsWith("."));
            if (beside.length > 0) violations.push(`left beside it: ${beside.join(", ")}`);
          } else {
            await restoreWorkspace({ ...there, snapshotId }, fakeTools());
            edit(random, there.root, 20);
            writeFileSync(join(there.root, "new"), `${index}`);
            const tree = describeTree(there.root);
            fill(hog, 0);
            await refused(syncWorkspace(there, fakeTools()));
            violations.push(...differences("the workspace itself", describeTree(there.root), tree));
          }
          violations.push(...dangling(at.peer.store));
          at.peer.fault = () => undefined;
          rmSync(hog, { force: true });
          const saved = index % 2 === 0 ? snapshotId : (await syncWorkspace(there, fakeTools())).snapshotId;
          const wanted = describeTree(index % 2 === 0 ? at.root : there.root);
          const again = index % 2 === 0 ? there : at.elsewhere(saved);
          await restoreWorkspace({ ...again, snapshotId: saved }, fakeTools());
          violations.push(...differences("with room again", describeTree(again.root), wanted));
          return { violations };
        } finally {
          at.peer.fault = () => undefined;
          rmSync(hog, { force: true });
          rmSync(place, { recursive: true });
        }
      },
      async dispose() {
        execFileSync("umount", [small]);
        at.dispose();
      },
    };
  },
};

/** Takes all room but `left` bytes. */
function fill(path: string, left: number): void {
  const { bavail, bsize } = statfsSync(join(path, ".."));
  writeFileSync(path, Buffer.alloc(Math.max(0, bavail * bsize - left)), { flag: "a" });
}
