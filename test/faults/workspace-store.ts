/** A store with bad days, at every request: nothing dangles, and the first good day saves everything. */
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { describeTree, fakeTools, fixture } from "../executor-host/workspace/fixture.ts";
import { refusal } from "../executor-host/workspace/store-peer.ts";
import type { Fault } from "./fault.ts";
import { dangling, differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";

const SYNCS = 4;
const FAULTS: Record<string, (proceed: () => Promise<Response>) => Promise<Response>> = {
  "500": async () => refusal(500, "internal"),
  "503 of a proxy": async () => new Response("<html>", { status: 503 }),
  unreachable: async () => {
    throw new TypeError("fetch failed");
  },
  "time-out": async () => {
    throw new DOMException("the operation timed out", "TimeoutError");
  },
  "lost acknowledgement": async (proceed) => {
    await proceed();
    throw new TypeError("terminated");
  },
  truncated: async (proceed) => {
    const response = await proceed();
    const bytes = new Uint8Array(await response.arrayBuffer());
    return new Response(bytes.subarray(0, Math.floor(bytes.length / 2)), { status: response.status });
  },
};

export const workspaceStore: Fault = {
  name: "workspace-store",
  how: `${SYNCS} syncs with edits between them and a restore, in which each request to the store fails with a chance of the seed's (${Object.keys(FAULTS).join(", ")}): no committed snapshot ever points to what is not there, a restore is whole or leaves the old tree, and with the store well again all is saved`,
  trials: { long: 60, short: 3 },
  note: (figures) =>
    `${figures.reduce((sum, { faults = 0 }) => sum + faults, 0)} requests failed, ${figures.reduce((sum, { failed = 0 }) => sum + failed, 0)} syncs and restores with them`,
  async open() {
    return {
      async trial(random) {
        const at = fixture();
        try {
          const rate = random.pick([0.2, 0.5, 0.8]);
          let faults = 0;
          let failed = 0;
          at.peer.fault = (_, proceed) => {
            if (!random.chance(rate)) return undefined;
            faults++;
            return FAULTS[random.pick(Object.keys(FAULTS))]!(proceed);
          };
          const violations: string[] = [];
          for (let i = 0; i < SYNCS; i++) {
            edit(random, at.root, 20);
            await syncWorkspace(at.input, fakeTools()).catch(() => failed++);
            violations.push(...dangling(at.peer.store));
          }
          const wanted = describeTree(at.root);
          const committed = at.peer.commits.at(-1);
          if (committed !== undefined) {
            const there = at.elsewhere(committed.snapshotId);
            await restoreWorkspace(there, fakeTools()).catch(() => failed++);
          }
          at.peer.fault = () => undefined;
          const { snapshotId } = await syncWorkspace(at.input, fakeTools());
          const there = at.elsewhere(snapshotId);
          await restoreWorkspace(there, fakeTools());
          violations.push(...differences("the restored tree", describeTree(there.root), wanted));
          violations.push(...dangling(at.peer.store));
          return { violations, figures: { faults, failed } };
        } finally {
          at.dispose();
        }
      },
      async dispose() {},
    };
  },
};
