/** FACTS C2 row 11, on a file system of two megabytes. Mounting one needs root; elsewhere the asking beforehand is tested. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeManifest } from "#protocol/manifest-text.ts";
import { FRAME_BYTES, type Manifest } from "#protocol/snapshot.ts";
import { FileWriter, lackingOf } from "../../../executor-host/workspace/file-writer.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { snapshotKey } from "../../../worker/store/keys.ts";
import { sha256 } from "../../../worker/store/manifest-bytes.ts";
import { describeTree, type Fixture, fakeTools, fixture, noise } from "./fixture.ts";

let at: Fixture;
let small: string;
let mounted = false;
beforeEach(() => {
  at = fixture();
  small = join(at.folder, "small");
  mkdirSync(small);
});
afterEach(() => {
  if (mounted) execFileSync("umount", [small]);
  mounted = false;
  at.dispose();
});

function mount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", small], { stdio: "pipe" });
    mounted = true;
  } catch (error) {
    console.warn(`no small file system here: ${String(error)}`);
  }
  return mounted;
}

test("a snapshot for which there is no room is refused before a byte is written", async () => {
  const raw = new Uint8Array(FRAME_BYTES);
  const frame = zstdCompressSync(raw);
  const chunk = { hash: sha256(raw), length: FRAME_BYTES };
  const pack = {
    hash: sha256(frame),
    length: frame.length,
    frames: [{ offset: 0, length: frame.length, chunks: [chunk] }],
  };
  const size = 8_000 * FRAME_BYTES;
  const chunks = Array.from({ length: 8_000 }, () => chunk.hash);
  const entries = Array.from({ length: 8 }, (_, i) => ({
    kind: "file" as const,
    path: `f${i}`,
    mode: 0o644,
    size,
    mtimeMs: 0,
    hash: chunk.hash,
    chunks,
  }));
  const manifest: Manifest = { version: 1, sessionId: "ses_1", createdAt: 0, packs: [pack], entries, omitted: [] };
  const text = encodeManifest(manifest);
  at.peer.store.objects.set(snapshotKey(at.peer.shelf, sha256(text)), new Uint8Array(zstdCompressSync(text)));
  const target = mount() ? small : at.folder;
  const { bavail, bsize } = statfsSync(target);
  if (bavail * bsize > 8 * size) return; // A disk this large has the room.
  const there = { ...at.elsewhere(sha256(text)), root: join(target, "workspace") };
  await expect(restoreWorkspace(there, fakeTools())).rejects.toMatchObject({ reason: "disk_full" });
  expect(at.peer.calls.filter(({ path }) => path.startsWith("/packs"))).toEqual([]);
  expect(readdirSync(target).filter((name) => name.includes("workspace")).length).toBe(mounted ? 0 : 1);
});

test("a disk that fills up on the way leaves the old workspace, and room again", async (context) => {
  if (!mount()) return context.skip("needs root to mount a small file system");
  at.write("a.bin", noise(700_000, 1));
  at.write("b.bin", noise(700_000, 2));
  at.write("c.bin", noise(500_000, 3));
  const { snapshotId } = await syncWorkspace(at.input);
  const there = { ...at.elsewhere(snapshotId), root: join(small, "workspace") };
  mkdirSync(there.root);
  writeFileSync(join(there.root, "old"), "old");
  const before = describeTree(there.root);
  // The room was there when it was asked for; somebody else takes it meanwhile.
  at.peer.fault = ({ path }) => {
    if (path.startsWith("/packs")) writeFileSync(join(small, "hog"), noise(1_200_000, 9));
    return undefined;
  };
  await expect(restoreWorkspace(there, fakeTools())).rejects.toMatchObject({ reason: "disk_full", retry: true });
  expect(describeTree(there.root)).toEqual(before);
  expect(readdirSync(small).sort()).toEqual(["hog", "workspace"]);
});

test("a sync that finds no room for its notes says so, commits nothing, and succeeds with room", async (context) => {
  if (!mount()) return context.skip("needs root to mount a small file system");
  at.write("a.txt", "first");
  const input = { ...at.input, stateDir: join(small, "state") };
  const first = await syncWorkspace(input);
  at.write("a.txt", "second");
  const { bavail, bsize } = statfsSync(small);
  writeFileSync(join(small, "hog"), noise(bavail * bsize, 9));
  await expect(syncWorkspace(input, fakeTools())).rejects.toMatchObject({ reason: "disk_full", retry: true });
  expect(at.peer.commits.map(({ snapshotId }) => snapshotId)).toEqual([first.snapshotId]);
  rmSync(join(small, "hog"));
  const { snapshotId } = await syncWorkspace(input);
  const there = at.elsewhere(snapshotId);
  await restoreWorkspace(there);
  expect(describeTree(there.root)).toEqual(describeTree(at.root));
});

test.skipIf(process.getuid?.() !== 0)("everything restored belongs to the owner that was named", async () => {
  at.write("dir/file", "x", 0o750);
  const { snapshotId } = await syncWorkspace(at.input);
  const there = { ...at.elsewhere(snapshotId), owner: { uid: 12_345, gid: 54_321 } };
  await restoreWorkspace(there);
  for (const path of ["", "dir", "dir/file"]) {
    expect(statSync(join(there.root, path))).toMatchObject({ uid: 12_345, gid: 54_321 });
  }
  expect(statSync(join(there.root, "dir/file")).mode & 0o7777).toBe(0o750);
});

test("a chunk that completes another file than the one named is noticed", () => {
  const half = new TextEncoder().encode("half");
  const file = {
    kind: "file" as const,
    path: "f",
    mode: 0o644,
    size: 8,
    mtimeMs: 0,
    hash: "0".repeat(64),
    chunks: [sha256(half), sha256(half)],
  };
  const targets = [0, 4].map((offset) => ({ file, offset }));
  const writer = new FileWriter(at.folder, undefined, [file], lackingOf([file]));
  expect(() => writer.writeChunk({ hash: sha256(half), start: 0, length: 4, targets }, half)).toThrow(/not the file/);
});
