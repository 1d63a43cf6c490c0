import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fixture, noise } from "./fixture.ts";

let at: Fixture;
beforeEach(() => {
  at = fixture();
});
afterEach(() => at.dispose());

function smallWorkspace(): void {
  at.write("readme.md", "hello\n");
  at.write("src/main.ts", "export const a = 1;\n", 0o600);
  at.write("src/deep/er/x.txt", "x".repeat(10_000));
  at.write("bin/run", "#!/bin/sh\n", 0o755);
  at.write("empty.txt", "");
  at.write("same-1.txt", "twice");
  at.write("same-2.txt", "twice");
  at.write("übung/日本 \n odd \\ name", "odd");
  at.write("big.bin", noise(5_000_000, 7));
  at.write("zeros.bin", new Uint8Array(3_500_000));
  at.write(".gantry/agent/state.json", "{}");
  mkdirSync(join(at.root, "empty-folder"), { mode: 0o700 });
  symlinkSync("readme.md", join(at.root, "link"));
  symlinkSync("../../etc/passwd", join(at.root, "src/out"));
  symlinkSync("nowhere", join(at.root, "dangling"));
  chmodSync(join(at.root, "src/deep"), 0o1755);
  utimesSync(join(at.root, "readme.md"), 1_000_000_000, 1_234_567_890.123);
}

describe("round trip", () => {
  test("[P-snap-1] a restored workspace equals the synced one by content, mode, link and time", async () => {
    smallWorkspace();
    const synced = await syncWorkspace(at.input);
    expect(synced).toMatchObject({ changed: true, omitted: 0, files: 11 });
    expect(at.peer.commits).toEqual([{ snapshotId: synced.snapshotId, bytesSent: synced.bytesSent }]);

    const there = at.elsewhere(synced.snapshotId);
    const restored = await restoreWorkspace(there);
    expect(restored).toMatchObject({ files: synced.files, bytes: synced.bytes });
    expect(describeTree(there.root)).toEqual(describeTree(at.root));
  });

  test("a sync that changes nothing sends nothing and answers the same snapshot", async () => {
    smallWorkspace();
    const first = await syncWorkspace(at.input);
    const calls = at.peer.calls.length;
    const second = await syncWorkspace(at.input);
    expect(second).toEqual({ ...first, changed: false, bytesSent: 0 });
    expect(at.peer.calls.length).toBe(calls);
  });

  test("a sync after a restore sends nothing", async () => {
    smallWorkspace();
    const { snapshotId } = await syncWorkspace(at.input);
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there);
    const calls = at.peer.calls.length;
    expect(await syncWorkspace(there)).toMatchObject({ snapshotId, changed: false, bytesSent: 0 });
    expect(at.peer.calls.length).toBe(calls);
  });

  test("two cycles of editing, syncing and restoring elsewhere", async () => {
    smallWorkspace();
    let here = at.input;
    let { snapshotId } = await syncWorkspace(here);
    for (const cycle of [1, 2]) {
      const there = at.elsewhere(snapshotId);
      await restoreWorkspace(there);
      writeFileSync(join(there.root, "readme.md"), `cycle ${cycle}`);
      writeFileSync(join(there.root, `new-${cycle}.txt`), "new");
      rmSync(join(there.root, cycle === 1 ? "src/deep" : "big.bin"), { recursive: true });
      const synced = await syncWorkspace(there);
      expect(synced.changed).toBe(true);
      here = there;
      snapshotId = synced.snapshotId;
    }
    const last = at.elsewhere(snapshotId);
    await restoreWorkspace(last);
    expect(describeTree(last.root)).toEqual(describeTree(here.root));
    // Back on the first host, which still has what it had: only what differs is fetched.
    const back = { ...at.input, snapshotId };
    const { bytesFetched } = await restoreWorkspace(back);
    expect(describeTree(at.root)).toEqual(describeTree(here.root));
    expect(bytesFetched).toBeLessThan(50_000);
  });

  test("restoring over a changed workspace leaves exactly the snapshot", async () => {
    smallWorkspace();
    const { snapshotId } = await syncWorkspace(at.input);
    const before = describeTree(at.root);
    at.write("extra/file.txt", "extra");
    at.write("readme.md", "changed");
    rmSync(join(at.root, "bin"), { recursive: true });
    symlinkSync("/etc", join(at.root, "bin"));
    await restoreWorkspace({ ...at.input, snapshotId });
    expect(describeTree(at.root)).toEqual(before);
  });

  test("restoring what is already there fetches nothing", async () => {
    smallWorkspace();
    const { snapshotId } = await syncWorkspace(at.input);
    expect(await restoreWorkspace({ ...at.input, snapshotId })).toMatchObject({ bytesFetched: 0 });
  });

  test("an edit of ten files sends little more than the edit", async () => {
    for (let i = 0; i < 2_000; i++) at.write(`lib/d${i % 40}/f${i}.js`, noise(2_000, i + 1));
    await syncWorkspace(at.input);
    for (let i = 0; i < 10; i++) at.write(`lib/d${i}/f${i * 41}.js`, noise(4_000, 9_000 + i));
    const { bytesSent } = await syncWorkspace(at.input);
    expect(bytesSent).toBeLessThan(3 * 40_000);
  });

  test("an insertion in a large file sends a part of it", async () => {
    const content = noise(8_000_000, 3);
    at.write("data.bin", content);
    await syncWorkspace(at.input);
    const edited = new Uint8Array(content.length + 5);
    edited.set(content.subarray(0, 3_000_000));
    edited.set([1, 2, 3, 4, 5], 3_000_000);
    edited.set(content.subarray(3_000_000), 3_000_005);
    at.write("data.bin", edited);
    const { bytesSent } = await syncWorkspace(at.input);
    expect(bytesSent).toBeLessThan(2_200_000);
  });

  test("an agent's credentials and caches stay out, everything else of it goes in", async () => {
    at.write(".gantry/claude/.credentials.json", "secret");
    at.write(".gantry/codex/auth.json", "secret");
    at.write(".gantry/tls/server.key", "secret");
    at.write(".gantry/claude/history.jsonl", "kept");
    at.write("auth.json", "a person's own file");
    at.write("node_modules/.cache/x", "cache");
    const { snapshotId, omitted } = await syncWorkspace(at.input);
    expect(omitted).toBe(0);
    const there = at.elsewhere(snapshotId);
    await restoreWorkspace(there);
    const files = describeTree(there.root)
      .filter((line) => !line.includes("/ "))
      .map((line) => line.split(" ")[0]);
    expect(files).toEqual([".gantry/claude/history.jsonl", "auth.json"]);
    expect(existsSync(join(at.root, ".gantry/codex/auth.json"))).toBe(true);
    for (const bytes of at.peer.store.objects.values()) expect(Buffer.from(bytes).includes("secret")).toBe(false);
  });

  test("a lost index is made anew from the store without sending content again", async () => {
    smallWorkspace();
    const first = await syncWorkspace(at.input);
    rmSync(at.stateDir, { recursive: true });
    const again = await syncWorkspace({ ...at.input, lastSnapshotId: first.snapshotId });
    expect(again).toMatchObject({ changed: false, snapshotId: first.snapshotId, bytesSent: 0 });

    rmSync(at.stateDir, { recursive: true });
    const blind = await syncWorkspace(at.input);
    expect(at.peer.calls.filter(({ method }) => method === "PUT").length).toBe(1);
    const there = at.elsewhere(blind.snapshotId);
    await restoreWorkspace(there);
    expect(readFileSync(join(there.root, "big.bin"))).toEqual(readFileSync(join(at.root, "big.bin")));
  });
});
