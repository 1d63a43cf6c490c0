/** Reading snapshots at the edge: trees, files, ranges, zips, and what a browser is told about them. */
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { unzipSync } from "fflate";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Manifest, SnapshotFile } from "#protocol/snapshot.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { contentTypeOf, fileHeaders } from "../../../worker/store/content-type.ts";
import { packKey } from "../../../worker/store/keys.ts";
import { parseRange } from "../../../worker/store/range.ts";
import {
  entriesBelow,
  findEntry,
  listTree,
  loadManifest,
  ManifestCache,
  readFile,
} from "../../../worker/store/read.ts";
import { zipEntries, zipRefusal } from "../../../worker/store/zip.ts";
import { type Fixture, fixture, noise } from "./fixture.ts";

let at: Fixture;
/** What was saved; reading changes nothing. */
let saved: Manifest;
let manifest: Manifest;
const big = noise(6_000_000, 11);

beforeAll(async () => {
  at = fixture();
  at.write("a/b.txt", "in a");
  at.write("a-b/c.txt", "in a-b");
  at.write("a/deep/d.txt", "deep", 0o600);
  at.write("big.bin", big);
  at.write("empty.txt", "");
  at.write("page.html", "<script>alert(1)</script>");
  at.write(".gantry/state.json", "{}");
  at.write("..\\evil\\x", "odd");
  mkdirSync(join(at.root, "empty"));
  symlinkSync("../../etc/passwd", join(at.root, "a/link"));
  for (let i = 0; i < 200; i++) at.write(`many/${i}.bin`, noise(20_000, i + 50));
  const { snapshotId } = await syncWorkspace(at.input);
  saved = (await loadManifest(at.peer.store, at.peer.shelf, snapshotId, new ManifestCache()))!;
});
beforeEach(() => {
  manifest = saved;
  at.peer.store.reads.length = 0;
});
afterAll(() => at.dispose());

const names = (path: string, hidden: "show" | "hide" = "hide") =>
  listTree(manifest, path, hidden)?.map(({ name }) => name);
const fileAt = (path: string) => findEntry(manifest, path) as SnapshotFile;
const bytesOf = async (stream: ReadableStream<Uint8Array>) => new Uint8Array(await new Response(stream).arrayBuffer());

describe("trees", () => {
  test("list what lies directly in a folder", () => {
    expect(names("")).toEqual(["..\\evil\\x", "a", "a-b", "big.bin", "empty", "empty.txt", "many", "page.html"]);
    expect(listTree(manifest, "a", "hide")).toMatchObject([
      { name: "b.txt", path: "a/b.txt", kind: "file", size: 4, mode: 0o644 },
      { name: "deep", path: "a/deep", kind: "directory", size: 0 },
      { name: "link", kind: "link", target: "../../etc/passwd" },
    ]);
    expect(names("empty")).toEqual([]);
  });

  test("hide the agents' folder unless it is asked for", () => {
    expect(names("", "show")).toContain(".gantry");
    expect(names(".gantry", "hide")).toEqual([]);
    expect(names(".gantry", "show")).toEqual(["state.json"]);
    expect(entriesBelow(manifest, "", "hide").some(({ path }) => path.startsWith(".gantry"))).toBe(false);
  });

  test("say so when there is no such folder", () => {
    expect(names("nowhere")).toBeUndefined();
    expect(names("a/b.txt")).toBeUndefined();
    expect(names("a/link")).toBeUndefined();
  });

  test("derive folders that have no entry of their own", () => {
    manifest = { ...manifest, entries: manifest.entries.filter(({ kind }) => kind !== "directory") };
    expect(names("")).toEqual(["..\\evil\\x", "a", "a-b", "big.bin", "empty.txt", "many", "page.html"]);
    expect(findEntry(manifest, "a/deep")).toMatchObject({ kind: "directory" });
    expect(names("a/deep")).toEqual(["d.txt"]);
  });
});

describe("files", () => {
  test("come whole, and empty ones without asking the store", async () => {
    const { store, shelf } = at.peer;
    expect(await bytesOf(readFile(store, shelf, manifest, fileAt("big.bin")))).toEqual(big);
    store.reads.length = 0;
    expect((await bytesOf(readFile(store, shelf, manifest, fileAt("empty.txt")))).length).toBe(0);
    expect(store.reads).toEqual([]);
  });

  test("[P-snap-6] a small file costs one range of at most a frame", async () => {
    const { store, shelf } = at.peer;
    await bytesOf(readFile(store, shelf, manifest, fileAt("many/100.bin")));
    expect(store.reads.length).toBe(1);
    expect(store.reads[0]!.range!.length).toBeLessThan(1_100_000);
  });

  test.each([
    [0, 1],
    [1_048_575, 2],
    [2_999_990, 1_500_000],
    [5_999_999, 1],
  ])("a range from %i of %i bytes", async (offset, length) => {
    const { store, shelf } = at.peer;
    const bytes = await bytesOf(readFile(store, shelf, manifest, fileAt("big.bin"), { offset, length }));
    expect(bytes).toEqual(big.slice(offset, offset + length));
  });

  test("a reader that goes away stops the reading", async () => {
    const { store, shelf } = at.peer;
    const reader = readFile(store, shelf, manifest, fileAt("big.bin")).getReader();
    await reader.read();
    await reader.cancel();
    expect(store.reads.length).toBe(1);
  });

  test("a pack that is gone is told apart from a damaged one", async () => {
    const { store, shelf } = at.peer;
    const all = new Map(store.objects);
    onTestFinished(() => {
      for (const [key, object] of all) store.objects.set(key, object);
    });
    for (const { hash } of manifest.packs) store.objects.delete(packKey(shelf, hash));
    await expect(bytesOf(readFile(store, shelf, manifest, fileAt("a/b.txt")))).rejects.toMatchObject({ gone: true });
  });
});

describe("zips", () => {
  test("hold a folder, read in few ranges, links listed and not followed", async () => {
    const { store, shelf } = at.peer;
    const bytes = await bytesOf(zipEntries(store, shelf, manifest, "", entriesBelow(manifest, "", "hide")));
    const files = unzipSync(bytes);
    expect(
      Object.keys(files)
        .filter((name) => !name.startsWith("many/"))
        .sort(),
    ).toEqual([
      ".._evil_x",
      "a-b/",
      "a-b/c.txt",
      "a/",
      "a/b.txt",
      "a/deep/",
      "a/deep/d.txt",
      "big.bin",
      "empty.txt",
      "empty/",
      "gantry-links.txt",
      "page.html",
    ]);
    expect(files["big.bin"]).toEqual(big);
    expect(new TextDecoder().decode(files["gantry-links.txt"])).toBe("a/link -> ../../etc/passwd\n");
    expect(store.reads.length).toBeLessThan(10);
  });

  test("of a folder have names relative to it", async () => {
    const { store, shelf } = at.peer;
    const files = unzipSync(
      await bytesOf(zipEntries(store, shelf, manifest, "a", entriesBelow(manifest, "a", "hide"))),
    );
    expect(Object.keys(files)).toEqual(["b.txt", "deep/", "deep/d.txt", "gantry-links.txt"]);
  });

  test("that the format cannot hold are refused before they begin", () => {
    const file = fileAt("big.bin");
    expect(zipRefusal([{ ...file, size: 5_000_000_000 }])).toMatch(/too large/);
    expect(zipRefusal(Array.from({ length: 70_000 }, () => file))).toMatch(/at most/);
  });
});

describe("what a browser is told", () => {
  test.each([
    ["page.html", "text/plain; charset=utf-8", "inline"],
    ["x.svg", "text/plain; charset=utf-8", "inline"],
    ["x.xhtml", "text/plain; charset=utf-8", "inline"],
    ["app.js", "text/plain; charset=utf-8", "inline"],
    ["Makefile", "text/plain; charset=utf-8", "inline"],
    ["x.PNG", "image/png", "inline"],
    ["x.pdf", "application/octet-stream", "attachment"],
    ["constructor", "text/plain; charset=utf-8", "inline"],
    ["x.__proto__", "text/plain; charset=utf-8", "inline"],
  ] as const)("%s is %s", (name, type, disposition) => {
    expect(contentTypeOf(name, true)).toEqual({ type, disposition });
    expect(contentTypeOf(name, false).disposition).toBe("attachment");
  });

  test("names cannot break out of their header", () => {
    const { "content-disposition": header } = fileHeaders('a"\r\nset-cookie: x=1; ü.txt', false);
    expect(header).toBe(
      "attachment; filename=\"a___set-cookie: x=1; _.txt\"; filename*=UTF-8''a%22%0D%0Aset-cookie%3A%20x%3D1%3B%20%C3%BC.txt",
    );
    expect(() => new Headers(fileHeaders("日本\n", true))).not.toThrow();
  });

  test.each([
    ["bytes=0-0", 10, { offset: 0, length: 1 }],
    ["bytes=5-", 10, { offset: 5, length: 5 }],
    ["bytes=-3", 10, { offset: 7, length: 3 }],
    ["bytes=-30", 10, { offset: 0, length: 10 }],
    ["bytes=5-100", 10, { offset: 5, length: 5 }],
    ["bytes=10-", 10, "unsatisfiable"],
    ["bytes=-0", 10, "unsatisfiable"],
    ["bytes=0-", 0, "unsatisfiable"],
    ["bytes=5-4", 10, undefined],
    ["bytes=0-1,3-4", 10, undefined],
    ["bytes=-", 10, undefined],
    ["lines=0-1", 10, undefined],
    [undefined, 10, undefined],
  ] as const)("range %s of %i bytes", (header, size, expected) => {
    expect(parseRange(header, size)).toEqual(expected);
  });
});
