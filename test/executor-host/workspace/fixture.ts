/** A workspace on a real file system, its state folder, and the store it is synced with. */
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RestoreInput, SyncInput } from "../../../executor-host/workspace/port.ts";
import { StorePeer } from "./store-peer.ts";

export type Fixture = {
  folder: string;
  root: string;
  stateDir: string;
  peer: StorePeer;
  input: SyncInput;
  /** The same session on another host. */
  elsewhere: (snapshotId: string) => RestoreInput;
  write: (path: string, content: string | Uint8Array, mode?: number) => void;
  dispose: () => void;
};

/** Pauses between attempts pass at once; how long they would have been is kept. */
export function fakeTools(pausesMs: number[] = []) {
  return { sleep: async (ms: number) => void pausesMs.push(ms), random: () => 1 };
}

/** `within`: a folder of the file system that it is to lie on. */
export function fixture(within = tmpdir()): Fixture {
  const folder = mkdtempSync(join(within, "gantry-workspace-"));
  const root = join(folder, "workspace");
  const stateDir = join(folder, "state");
  mkdirSync(root);
  const peer = new StorePeer();
  const store = { url: "http://edge/store", token: () => "token", epoch: 1, fetch: peer.fetch };
  const input: SyncInput = { sessionId: "ses_1", root, stateDir, store, traceId: "trc_1" };
  let others = 0;
  return {
    folder,
    root,
    stateDir,
    peer,
    input,
    elsewhere: (snapshotId) => {
      const host = join(folder, `host-${++others}`);
      return { ...input, snapshotId, root: join(host, "workspace"), stateDir: join(host, "state") };
    },
    write: (path, content, mode = 0o644) => {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content, { mode });
    },
    dispose: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Everything that a snapshot keeps of a tree, one line per name. Directories' times are not kept. */
export function describeTree(root: string): string[] {
  const out: string[] = [];
  const walk = (prefix: string) => {
    for (const name of readdirSync(join(root, prefix)).sort()) {
      const path = join(prefix, name);
      const stats = lstatSync(join(root, path));
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isDirectory()) {
        out.push(`${path}/ ${mode}`);
        walk(path);
      } else if (stats.isSymbolicLink()) out.push(`${path} -> ${readlinkSync(join(root, path))}`);
      else if (stats.isFile()) {
        const hash = createHash("sha256")
          .update(readFileSync(join(root, path)))
          .digest("hex");
        out.push(`${path} ${mode} ${Math.floor(stats.mtimeMs)} ${stats.size} ${hash}`);
      } else out.push(`${path} special`);
    }
  };
  walk("");
  return out;
}

/** Bytes that do not compress and are the same on every run. */
export function noise(length: number, seed: number): Uint8Array {
  const out = new Uint8Array(length);
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state;
  }
  return out;
}
