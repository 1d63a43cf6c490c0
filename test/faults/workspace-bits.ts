/** One flipped bit in each stored object in turn. */
import { existsSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { StoreError } from "../../executor-host/workspace/port.ts";
import { restoreWorkspace } from "../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../executor-host/workspace/sync.ts";
import { describeTree, fakeTools, fixture } from "../executor-host/workspace/fixture.ts";
import type { Fault } from "./fault.ts";
import { differences } from "./workspace-audit.ts";
import { edit } from "./workspace-edits.ts";

const SYNCS = 3;

export const workspaceBits: Fault = {
  name: "workspace-bits",
  how: `a session of ${SYNCS} snapshots; in each object of the store in turn one bit of the seed's is flipped and every snapshot restored: it is refused as damaged, or it did not need that object and is whole; what is flipped is always noticed by a restore that needs it, but for the few bits of a packed manifest that mean nothing to whoever unpacks it`,
  trials: { long: 40, short: 1 },
  note: (figures) => {
    const total = (name: string) => figures.reduce((sum, each) => sum + (each[name] ?? 0), 0);
    return `${total("flipped")} bits flipped, ${total("noticed")} noticed, ${total("meaningless")} without a meaning`;
  },
  async open() {
    return {
      async trial(random) {
        const at = fixture();
        try {
          const snapshots: { id: string; tree: string[] }[] = [];
          for (let i = 0; i < SYNCS; i++) {
            edit(random, at.root, 25);
            snapshots.push({ id: (await syncWorkspace(at.input)).snapshotId, tree: describeTree(at.root) });
          }
          const violations: string[] = [];
          const { objects } = at.peer.store;
          let noticed = 0;
          let meaningless = 0;
          for (const [key, good] of objects) {
            const bad = good.slice();
            const bit = random.int(0, 8 * good.length - 1);
            bad[bit >> 3]! ^= 1 << (bit & 7);
            objects.set(key, bad);
            let refused = 0;
            for (const { id, tree } of snapshots) {
              const there = at.elsewhere(id);
              try {
                await restoreWorkspace(there, fakeTools());
                violations.push(...differences(`bit ${bit} of ${key}`, describeTree(there.root), tree));
              } catch (error) {
                if (!(error instanceof StoreError) || error.reason !== "store_corrupt") throw error;
                if (existsSync(there.root)) violations.push(`bit ${bit} of ${key}: a refused restore left a tree`);
                refused++;
              }
            }
            if (refused > 0) noticed++;
            else if (key.includes("/snapshots/") && unpacked(bad).equals(unpacked(good))) meaningless++;
            else violations.push(`bit ${bit} of ${key} was noticed by nobody`);
            objects.set(key, good);
          }
          return { violations, figures: { flipped: objects.size, noticed, meaningless } };
        } finally {
          at.dispose();
        }
      },
      async dispose() {},
    };
  },
};

/** A manifest as it is named and read. */
const unpacked = (packed: Uint8Array): Buffer => zstdDecompressSync(packed);
