/** Two manifests side by side, against the plain way: two maps. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeManifest, itemTexts } from "#protocol/manifest-text.ts";
import type { SnapshotEntry } from "#protocol/snapshot.ts";
import { compareManifests, type Pair } from "../../worker/store/compare.ts";
import { sha256 } from "../../worker/store/manifest-bytes.ts";

const file = (path: string, content: string, mode = 0o644, mtimeMs = 1): SnapshotEntry => ({
  kind: "file",
  path,
  mode,
  size: content.length,
  mtimeMs,
  hash: sha256(new TextEncoder().encode(content)),
});
const folder = (path: string, mode = 0o755): SnapshotEntry => ({ kind: "directory", path, mode });
const link = (path: string, target: string): SnapshotEntry => ({ kind: "link", path, mode: 0o777, target });

function text(...entries: SnapshotEntry[]): Uint8Array {
  const sorted = entries.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return encodeManifest({ version: 1, sessionId: "ses_1", createdAt: 0, packs: [], entries: sorted, omitted: [] });
}
const brief = (pairs: Pair[]) =>
  pairs.map(({ change, before, after }) => [change, before?.path, after?.path].filter(Boolean).join(" "));
const compare = (from: SnapshotEntry[] | undefined, to: SnapshotEntry[]) =>
  brief(compareManifests(from && text(...from), text(...to), "hide"));

describe("what changed", () => {
  test("between a snapshot and itself: nothing", () => {
    const all = [folder("a"), file("a/b", "x"), link("c", "a")];
    expect(compare(all, all)).toEqual([]);
  });

  test("before the first snapshot there was nothing", () => {
    expect(compare(undefined, [folder("a"), file("a/b", "x")])).toEqual(["added a/b"]);
    expect(compare([], [folder("empty")])).toEqual(["added empty"]);
  });

  test("a file that was only written again did not change", () => {
    expect(compare([file("a", "x", 0o644, 1)], [file("a", "x", 0o644, 2)])).toEqual([]);
    expect(compare([file("a", "x", 0o644)], [file("a", "x", 0o755)])).toEqual(["mode a a"]);
  });

  test("a folder with something in it is told by its files, also when other names lie between", () => {
    expect(compare([], [folder("a"), file("a-b", "y"), file("a/c", "x")])).toEqual(["added a-b", "added a/c"]);
    expect(compare([folder("a"), file("a/c", "x")], [folder("a")])).toEqual(["removed a/c"]);
  });

  test("the same content elsewhere is a rename, the same name first", () => {
    expect(compare([file("a/x", "1"), file("a/y", "1")], [file("b/y", "1"), file("b/z", "1")])).toEqual([
      "renamed a/y b/y",
      "renamed a/x b/z",
    ]);
    expect(compare([file("a", "")], [file("b", "")])).toEqual(["removed a", "added b"]);
  });

  test("another kind under the same name is a change of it", () => {
    expect(compare([file("a", "x")], [link("a", "b")])).toEqual(["modified a a"]);
    expect(compare([link("a", "b")], [link("a", "c")])).toEqual(["modified a a"]);
  });

  test("the agents' folder only on request", () => {
    const to = text(folder(".gantry"), file(".gantry/claude/x", "1"));
    expect(compareManifests(undefined, to, "hide")).toEqual([]);
    expect(brief(compareManifests(undefined, to, "show"))).toEqual(["added .gantry/claude/x"]);
  });

  test("as two maps would say it", () => {
    const tree = fc
      .uniqueArray(
        fc.tuple(fc.constantFrom("a", "a-b", "a.b", "b", "c", "d", "é", "日"), fc.constantFrom("", "/x", "/y")),
        {
          selector: ([name, rest]) => name + rest,
        },
      )
      .chain((names) => fc.tuple(fc.constant(names), fc.array(fc.nat(9), { minLength: 24, maxLength: 24 })))
      .map(([names, contents]) => names.map(([name, rest], i) => file(name + rest, `${name}${rest}${contents[i]}`)));
    fc.assert(
      fc.property(tree, tree, (from, to) => {
        const [old, now] = [from, to].map((list) => new Map(list.map((entry) => [entry.path, entry])));
        const expected = [...new Set([...old!.keys(), ...now!.keys()])].sort().flatMap((path) => {
          const [a, b] = [old!.get(path), now!.get(path)];
          if (a && b) return JSON.stringify(a) === JSON.stringify(b) ? [] : [`modified ${path} ${path}`];
          return [`${a ? "removed" : "added"} ${path}`];
        });
        expect(compare(from, to)).toEqual(expected);
      }),
    );
  });
});

test("items of a list one at a time, from a text that ends early too", () => {
  const whole = text(file("a", "x"), file("b", "y"));
  expect([...itemTexts(whole, "entries")].map((item) => JSON.parse(item).path)).toEqual(["a", "b"]);
  expect([...itemTexts(whole, "packs")]).toEqual([]);
  expect([...itemTexts(new Uint8Array(), "entries")]).toEqual([]);
});
