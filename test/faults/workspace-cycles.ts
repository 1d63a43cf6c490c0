/** A session that moves: edit, sync, stop, remove, restore on another host, over and over. */
import { join } from "node:path";
import { removeWorkspace } from "../../executor-host/workspace/layer.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { describeTree, fixture } from "../executor-host/workspace/fixture.ts";
import type { Fault } from "./fault.ts";
import { dangling, differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";

const EDITS = 25;

export const workspaceCycles: Fault = {
  name: "workspace-cycles",
  how: `${EDITS} edits by the seed, sync, the worker stopped and its folder removed or left, restore on the other of two hosts, each time: the tree there equals the one that was left by content, mode, link and time, an idle sync finds nothing changed, and no snapshot points to what is not there`,
  trials: { long: 100, short: 4 },
  note: (figures) => `files at the end: ${figures.at(-1)?.files ?? 0}`,
  async open() {
    const at = fixture();
    const hosts = ["one", "two"].map((name) => ({
      root: name === "one" ? at.root : join(at.folder, name, "workspace"),
      stateDir: join(at.folder, name, "state"),
    }));
    return {
      async trial(random, index) {
        const [here, there] = index % 2 === 0 ? [hosts[0]!, hosts[1]!] : [hosts[1]!, hosts[0]!];
        edit(random, here.root, EDITS);
        const saved = await syncWorkspace({ ...at.input, ...here });
        const wanted = describeTree(here.root);
        if (random.chance(0.5)) removeWorkspace(here);
        await restoreWorkspace({ ...at.input, ...there, snapshotId: saved.snapshotId });
        const violations = differences("the other host's tree", describeTree(there.root), wanted);
        if ((await syncWorkspace({ ...at.input, ...there })).changed) violations.push("an idle sync found changes");
        if (index % 10 === 0) violations.push(...dangling(at.peer.store));
        return { violations, figures: { files: saved.files } };
      },
      async dispose() {
        at.dispose();
      },
    };
  },
};
