/** FACTS C2 rows 27, 28 and 30: a manifest that lies is refused by the edge before it is stored, and by a host before it writes. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { applyDelta, diffManifest, encodeManifest } from "#protocol/manifest-text.ts";
import { FRAME_BYTES, isSafePath, type Manifest } from "#protocol/snapshot.ts";
import { collision } from "../../../executor-host/workspace/collisions.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { snapshotKey } from "../../../worker/store/keys.ts";
import { sha256 } from "../../../worker/store/manifest-bytes.ts";
import { putPack, putSnapshot } from "../../../worker/store/receive.ts";
import { type Fixture, fakeTools, fixture } from "./fixture.ts";

let at: Fixture;
let honest: Manifest;
const content = new TextEncoder().encode("hello");
const raw = new Uint8Array(FRAME_BYTES);
const file = { kind: "file" as const, path: "a.txt", mode: 0o644, size: 5, mtimeMs: 0, hash: sha256(content) };
const link = { kind: "link" as const, path: "b", mode: 0o777, target: "/etc" };

beforeEach(async () => {
  at = fixture();
  const frame = zstdCompressSync(content);
  const pack = {
    hash: sha256(frame),
    length: frame.length,
    frames: [{ offset: 0, length: frame.length, chunks: [{ hash: file.hash, length: 5 }] }],
  };
  await putPack(at.peer.store, at.peer.shelf, pack.hash, frame);
  honest = { version: 1, sessionId: "ses_1", createdAt: 0, packs: [pack], entries: [file], omitted: [] };
});
afterEach(() => at.dispose());

/** What the edge says to it; and what a host says that finds it in a store which did not look. */
async function bothAnswers(manifest: unknown): Promise<{ edge: string; host: string }> {
  const text = encodeManifest(manifest as Manifest);
  const body = zstdCompressSync(text);
  const put = await putSnapshot(at.peer.store, at.peer.shelf, { body });
  const snapshotId = sha256(text);
  at.peer.store.objects.set(snapshotKey(at.peer.shelf, snapshotId), new Uint8Array(body));
  const there = at.elsewhere(snapshotId);
  const before = readdirSync(at.folder);
  const host = await restoreWorkspace(there, fakeTools()).then(
    () => "restored",
    (error) => error.reason as string,
  );
  if (host !== "restored") {
    expect(existsSync(there.root)).toBe(false);
    expect(readdirSync(dirname(there.root)).filter((name) => name !== "state")).toEqual([]);
    expect(readdirSync(at.folder).filter((name) => !name.startsWith("host-"))).toEqual(
      before.filter((name) => !name.startsWith("host-")),
    );
  }
  return { edge: put.ok ? "stored" : put.reason, host };
}
const refused = { edge: "snapshot_invalid", host: "snapshot_invalid" };

test("an honest manifest passes both", async () => {
  expect(await bothAnswers(honest)).toEqual({ edge: "stored", host: "restored" });
});

describe("[P-snap-9] paths", () => {
  const vectors = [
    "..",
    "../x",
    "a/../../b",
    "/etc/passwd",
    "//x",
    "./x",
    "a/./b",
    "a//b",
    "a/",
    "",
    "a\u0000b",
    "\ud800",
    `${"x/".repeat(300)}x`,
    "x".repeat(5_000),
  ];
  test.each(vectors)("%j leads nowhere", async (path) => {
    expect(isSafePath(path)).toBe(false);
    expect(await bothAnswers({ ...honest, entries: [{ ...file, path }] })).toEqual(refused);
  });

  test("letters that mean something elsewhere are letters here", async () => {
    const entries = ["..\\..\\x", "a\nb", "C:x", "~", "%2e%2e"].sort().map((path) => ({ ...file, path }));
    expect(await bothAnswers({ ...honest, entries })).toEqual({ edge: "stored", host: "restored" });
  });

  test("entries that are not sorted, or twice there", async () => {
    expect(await bothAnswers({ ...honest, entries: [{ ...file, path: "b" }, file] })).toEqual(refused);
    expect(await bothAnswers({ ...honest, entries: [file, file] })).toEqual(refused);
  });
});

describe("[P-snap-10] links and files are not folders", () => {
  test.each([
    ["below a link", [link, { ...file, path: "b/passwd" }]],
    ["far below a link", [link, { ...file, path: "b/c/d/passwd" }]],
    ["below a link with a neighbour between", [link, { ...file, path: "b-x" }, { ...file, path: "b/passwd" }]],
    [
      "below a file",
      [
        { ...file, path: "b" },
        { ...file, path: "b/c" },
      ],
    ],
  ])("an entry %s", async (_, entries) => {
    expect(await bothAnswers({ ...honest, entries })).toEqual(refused);
  });

  test("a link may point anywhere: it is kept as a link and never followed", async () => {
    const outside = join(at.folder, "outside");
    writeFileSync(outside, "untouched");
    const entries = [file, { ...link, target: outside }, { ...link, path: "c", target: "../../../../etc" }];
    expect(await bothAnswers({ ...honest, entries })).toEqual({ edge: "stored", host: "restored" });
  });
});

describe("[P-snap-5] [P-snap-6] [P-snap-7] [P-snap-8] packs, frames and chunks", () => {
  const withFrame = (change: object) => ({
    ...honest,
    packs: [{ ...honest.packs[0]!, frames: [{ ...honest.packs[0]!.frames[0]!, ...change }] }],
  });
  test.each<[string, () => unknown]>([
    ["a frame over the end of its pack", () => withFrame({ length: 10_000 })],
    ["a chunk in no pack", () => ({ ...honest, entries: [{ ...file, hash: "0".repeat(64) }] })],
    ["a size that is not that of the chunks", () => ({ ...honest, entries: [{ ...file, size: 6 }] })],
    [
      "a frame that unpacks to more than a frame may",
      () =>
        withFrame({
          chunks: [
            { hash: file.hash, length: 5 },
            { hash: sha256(raw), length: FRAME_BYTES },
          ],
        }),
    ],
    ["a chunk larger than a frame", () => withFrame({ chunks: [{ hash: file.hash, length: FRAME_BYTES + 1 }] })],
    [
      "overlapping frames",
      () => ({
        ...honest,
        packs: [{ ...honest.packs[0]!, frames: [honest.packs[0]!.frames[0]!, honest.packs[0]!.frames[0]!] }],
      }),
    ],
    ["[P-snap-4] a pack twice", () => ({ ...honest, packs: [honest.packs[0]!, honest.packs[0]!] })],
    ["a negative offset", () => withFrame({ offset: -1 })],
    ["[P-snap-12] set-user-id", () => ({ ...honest, entries: [{ ...file, mode: 0o4755 }] })],
    ["another version", () => ({ ...honest, version: 2 })],
  ])("%s is refused", async (_, manifest) => {
    expect(await bothAnswers(manifest())).toEqual(refused);
  });

  test("a pack that is not there, or of another length", async () => {
    const gone = { ...honest, packs: [{ ...honest.packs[0]!, hash: "1".repeat(64) }] };
    expect(await bothAnswers(gone)).toEqual({ edge: "packs_missing", host: "not_found" });
    const longer = { ...honest, packs: [{ ...honest.packs[0]!, length: honest.packs[0]!.length + 1 }] };
    expect(await bothAnswers(longer)).toEqual({ edge: "packs_missing", host: "store_corrupt" });
  });

  test("another session's manifest", async () => {
    expect((await bothAnswers({ ...honest, sessionId: "ses_2" })).edge).toBe("snapshot_invalid");
  });
});

describe("[P-snap-6] [P-snap-11] bombs", () => {
  test("a frame that unpacks to more than it says is stopped at what it says", async () => {
    const bomb = zstdCompressSync(new Uint8Array(200_000_000));
    const hash = sha256(bomb);
    await putPack(at.peer.store, at.peer.shelf, hash, bomb);
    const packs = [
      {
        hash,
        length: bomb.length,
        frames: [{ offset: 0, length: bomb.length, chunks: [{ hash: file.hash, length: 5 }] }],
      },
    ];
    expect(await bothAnswers({ ...honest, packs })).toEqual({ edge: "stored", host: "store_corrupt" });
  });

  test("a manifest that unpacks to too much", async () => {
    const body = zstdCompressSync(new Uint8Array(80 * 1024 * 1024));
    expect(await putSnapshot(at.peer.store, at.peer.shelf, { body })).toMatchObject({
      ok: false,
      reason: "snapshot_invalid",
    });
  });

  test("one chunk in so many places that the files exceed all bounds", async () => {
    const frame = zstdCompressSync(raw);
    const hash = sha256(frame);
    await putPack(at.peer.store, at.peer.shelf, hash, frame);
    const chunk = { hash: sha256(raw), length: FRAME_BYTES };
    const packs = [{ hash, length: frame.length, frames: [{ offset: 0, length: frame.length, chunks: [chunk] }] }];
    const many = Array.from({ length: 10_000 }, () => chunk.hash);
    const entries = Array.from({ length: 7 }, (_, i) => ({
      ...file,
      path: `f${i}`,
      size: 10_000 * FRAME_BYTES,
      chunks: many,
    }));
    expect(await bothAnswers({ ...honest, packs, entries })).toEqual(refused);
  });

  test("a delta that copies itself large, or from outside of its base", () => {
    const base = encodeManifest(honest);
    const copies = Array.from({ length: 1_000 }, (): [number, number] => [0, base.length]);
    expect(() => applyDelta(base, copies, 10_000)).toThrow(RangeError);
    expect(() => applyDelta(base, [[base.length - 1, 2]], 10_000)).toThrow(RangeError);
  });
});

test("[P-snap-13] a delta gives the next manifest byte for byte", () => {
  const entries = Array.from({ length: 500 }, (_, i) => ({ ...file, path: `file-${String(i).padStart(4, "0")}-ü` }));
  const base = encodeManifest({ ...honest, entries });
  const edited = entries
    .filter((_, i) => i !== 0 && i !== 250 && i !== 499)
    .map((entry, i) => (i % 100 === 7 ? { ...entry, size: 9 } : entry));
  const next = encodeManifest({ ...honest, entries: [...edited, { ...file, path: "zzz" }], parent: "2".repeat(64) });
  const delta = diffManifest(base, next);
  expect(Buffer.from(applyDelta(base, delta, 1_000_000))).toEqual(Buffer.from(next));
  expect(JSON.stringify(delta).length).toBeLessThan(3_000);
  expect(JSON.parse(new TextDecoder().decode(next)).entries.length).toBe(498);
});

test("[P-snap-14] names that fold together are refused only where the file system folds", () => {
  const manifest = { ...honest, entries: ["README", "a/Straße", "a/é", "readme"].map((path) => ({ ...file, path })) };
  expect(collision(manifest, { case: false, unicode: false })).toBeUndefined();
  expect(collision(manifest, { case: true, unicode: false })).toEqual(["README", "readme"]);
  const forms = { ...honest, entries: ["e\u0301", "\u00e9"].map((path) => ({ ...file, path })) };
  expect(collision(forms, { case: true, unicode: false })).toBeUndefined();
  expect(collision(forms, { case: false, unicode: true })).toEqual(["e\u0301", "\u00e9"]);
});

test("[P-snap-14] so are folders that fold together, also those that have no entry of their own", () => {
  const at = (...paths: string[]) => ({ ...honest, entries: paths.map((path) => ({ ...file, path })) });
  expect(collision(at("A/x", "a/y"), { case: true, unicode: false })).toEqual(["A", "a"]);
  expect(collision(at("b/A/x", "b/a"), { case: true, unicode: false })).toEqual(["b/A", "b/a"]);
  expect(collision(at("a", "a-b/c", "a-b/d/e", "a-b/d/f"), { case: true, unicode: true })).toBeUndefined();
  // What is written below the one must not come to lie where the other leads.
  const led = { ...honest, entries: [{ ...file, path: "B/passwd" }, link] };
  expect(collision(led, { case: true, unicode: false })).toEqual(["B", "b"]);
});
