/** Cutting, packing and giving packs up. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { checkManifest, indexChunks } from "#protocol/manifest-check.ts";
import { FRAME_BYTES, PACK_BYTES } from "#protocol/snapshot.ts";
import { cutPoint } from "../../../executor-host/workspace/cut.ts";
import { parseManifest, readManifestText } from "../../../executor-host/workspace/index-file.ts";
import { PackWriter } from "../../../executor-host/workspace/pack-writer.ts";
import { sha256 } from "../../../executor-host/workspace/read-content.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { planRestore } from "../../../executor-host/workspace/restore-plan.ts";
import { packsToRetire } from "../../../executor-host/workspace/retire.ts";
import { type BuildInput, buildSnapshot } from "../../../executor-host/workspace/snapshot-builder.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { describeTree, type Fixture, fixture, noise } from "./fixture.ts";

let at: Fixture;
beforeEach(() => {
  at = fixture();
});
afterEach(() => at.dispose());

const cuts = (bytes: Uint8Array) => {
  const hashes: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    const length = cutPoint(bytes.subarray(start, start + FRAME_BYTES));
    hashes.push(sha256(bytes.subarray(start, start + length)));
    start += length;
  }
  return hashes;
};
const manifestOf = (snapshotId: string) => parseManifest(readManifestText(at.stateDir, snapshotId)!);

describe("[P-snap-8] cutting", () => {
  test("chunks are about 256 KiB, never over a frame, and cover everything", () => {
    const bytes = noise(20_000_000, 1);
    const lengths: number[] = [];
    for (let start = 0; start < bytes.length; start += lengths.at(-1)!) {
      lengths.push(cutPoint(bytes.subarray(start, start + FRAME_BYTES)));
    }
    expect(Math.max(...lengths)).toBeLessThanOrEqual(FRAME_BYTES);
    expect(Math.min(...lengths.slice(0, -1))).toBeGreaterThan(64 * 1024);
    expect(bytes.length / lengths.length).toBeGreaterThan(180_000);
    expect(bytes.length / lengths.length).toBeLessThan(400_000);
  });

  test("boundaries are where they were, for ever", () => {
    // The hashes of other hosts and of older versions depend on them: a change here is a change of the format's economy.
    expect(cutPoint(noise(FRAME_BYTES, 1))).toBe(298_954);
  });

  test.each([100, 2_345_678, 5_000_000, 7_999_999])(
    "after an insertion at %i the chunks are the old ones again",
    (place) => {
      const bytes = noise(8_000_000, 2);
      const edited = new Uint8Array(bytes.length + 3);
      edited.set(bytes.subarray(0, place));
      edited.set(bytes.subarray(place), place + 3);
      const known = new Set(cuts(bytes));
      expect(cuts(edited).filter((hash) => !known.has(hash)).length).toBeLessThanOrEqual(6);
    },
  );
});

describe("packing", () => {
  test("[P-snap-6] frames hold whole chunks up to a frame, packs are closed at their size", async () => {
    const sizes: number[] = [];
    const writer = new PackWriter(async (hash, bytes) => {
      expect(sha256(bytes)).toBe(hash);
      sizes.push(bytes.length);
    });
    for (let i = 0; i < 80; i++) {
      const bytes = noise(700_000, i + 1);
      await writer.add(sha256(bytes), bytes);
    }
    await writer.finish();
    expect(sizes.length).toBe(2);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(PACK_BYTES);
    for (const frame of writer.packs.flatMap((pack) => pack.frames)) expect(frame.chunks.length).toBe(1);
  });

  test("the same tree gives the same packs, so a broken-off upload is not sent again", async () => {
    for (let i = 0; i < 60; i++) at.write(`f${i}`, noise(800_000, i + 1));
    let puts = 0;
    at.peer.fault = ({ method }) => {
      if (method === "PUT" && ++puts > 1) throw new Error("the line is cut");
      return undefined;
    };
    const sleep = async () => {};
    await expect(syncWorkspace(at.input, { sleep, random: () => 0 })).rejects.toThrow("the line is cut");
    at.peer.fault = () => undefined;
    at.peer.calls.length = 0;
    await syncWorkspace(at.input);
    expect(at.peer.calls.filter(({ method }) => method === "PUT").length).toBe(1);
    expect(at.peer.store.objects.size).toBe(3);
  });
});

describe("giving packs up", () => {
  test("a pack that is mostly dead is replaced, and what it still held is kept", async () => {
    for (let i = 0; i < 40; i++) at.write(`f${i}`, noise(100_000, i + 1));
    const first = await syncWorkspace(at.input);
    for (let i = 0; i < 30; i++) at.write(`f${i}`, noise(100_000, i + 1_000));
    const second = await syncWorkspace(at.input);
    const [old] = manifestOf(second.snapshotId).packs;
    expect(packsToRetire(manifestOf(second.snapshotId))).toEqual(new Set([old!.hash]));
    at.write("one-more", "edit");
    const third = await syncWorkspace(at.input);
    expect(manifestOf(third.snapshotId).packs.map(({ hash }) => hash)).not.toContain(old!.hash);
    for (const { snapshotId } of [third, first]) {
      const there = at.elsewhere(snapshotId);
      await restoreWorkspace(there);
      if (snapshotId === third.snapshotId) expect(describeTree(there.root)).toEqual(describeTree(at.root));
    }
  });

  test("many small packs become few", async () => {
    const build = (last: BuildInput["last"]) =>
      buildSnapshot({ root: at.root, sessionId: "ses_1", now: Date.now, emit: async () => {}, ...(last && { last }) });
    let last: BuildInput["last"];
    let most = 0;
    for (let i = 0; i < 40; i++) {
      at.write(`note-${i}`, noise(1_000, i + 2));
      const built = await build(last);
      if (!built.changed) throw new Error("a new file was not seen");
      last = built;
      most = Math.max(most, built.manifest.packs.length);
    }
    expect(most).toBe(32);
    expect(last!.manifest.packs.length).toBe(8);
    expect(checkManifest(last!.manifest)).toBeUndefined();
    expect(last!.manifest.entries.length).toBe(40);
  });
});

test("a plan fetches a pack whole when it needs most of it, and ranges when it needs little", async () => {
  for (let i = 0; i < 40; i++) at.write(`f${String(i).padStart(2, "0")}`, noise(500_000, i + 1));
  const { snapshotId } = await syncWorkspace(at.input);
  const manifest = manifestOf(snapshotId);
  const files = manifest.entries.filter((entry) => entry.kind === "file");
  expect(planRestore(manifest, files).map(({ range }) => range)).toEqual([undefined]);
  const few = planRestore(manifest, [files[0]!, files[1]!, files[39]!]);
  expect(few.length).toBe(2);
  expect(few.every(({ range }) => range !== undefined && range.length < 1_500_000)).toBe(true);
  const places = indexChunks(manifest);
  expect(few[1]!.frames[0]!.chunks.map(({ hash }) => places.get(hash)?.frame)).toEqual([19]);
});
