/** The text of a manifest: its layout, its delta, and that reading it by hand never says yes where the schema says no. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isPlainEntry, isPlainPack, readManifest } from "#protocol/manifest-read.ts";
import { applyDelta, decodeManifest, diffManifest, encodeManifest } from "#protocol/manifest-text.ts";
import { deltaSchema, entrySchema, type Manifest, manifestSchema, packSchema } from "#protocol/snapshot.ts";

const hash = "a".repeat(64);
const file = { kind: "file" as const, path: "a.txt", mode: 0o644, size: 0, mtimeMs: 0, hash };
const empty: Manifest = { version: 1, sessionId: "ses_1", createdAt: 0, packs: [], entries: [], omitted: [] };
const withFiles = (paths: string[]): Manifest => ({
  ...empty,
  entries: paths.sort().map((path) => ({ ...file, path })),
});
const textOf = (manifest: Manifest) => new TextDecoder().decode(encodeManifest(manifest));
const utf8 = (text: string) => new TextEncoder().encode(text);

describe("[P-snap-13] the text", () => {
  test("is JSON, one item per line, and reads back as what it was", () => {
    const manifest: Manifest = {
      ...withFiles(["b\nc", "a", "ü"]),
      parent: hash,
      packs: [{ hash, length: 9, frames: [{ offset: 0, length: 9, chunks: [{ hash, length: 5 }] }] }],
      omitted: [{ path: "pipe", reason: "special_file" }],
    };
    expect(manifestSchema.parse(JSON.parse(textOf(manifest)))).toEqual(manifest);
    expect(readManifest(encodeManifest(manifest))).toEqual({ ok: true, manifest });
    expect(readManifest(encodeManifest(empty))).toEqual({ ok: true, manifest: empty });
    expect(textOf(manifest).split("\n").length).toBe(13);
  });

  test.each([
    ["on one line", JSON.stringify(empty)],
    ["cut short", textOf(withFiles(["a", "b"])).slice(0, -5)],
    ["with something after it", `${textOf(empty)} `],
    ["with its lists in another order", textOf(empty).replace("packs", "omitted")],
    ["without the comma", textOf(withFiles(["a", "b"])).replace("\n,", "\n ")],
    ["with another field", textOf(empty).replace('"version":1', '"version":1,"extra":1')],
    ["with another field in an entry", textOf(withFiles(["a"])).replace('"mode"', '"extra":1,"mode"')],
    ["with a field twice over", textOf(withFiles(["a"])).replace('"mode"', '"__proto__":{},"mode"')],
  ])("%s is refused", (_, text) => {
    expect(readManifest(utf8(text)).ok).toBe(false);
  });

  test("that is not UTF-8 is refused", () => {
    const text = encodeManifest(withFiles(["abc"]));
    text[text.indexOf(0x62)] = 0xff;
    expect(readManifest(text).ok).toBe(false);
    expect(() => decodeManifest(text)).toThrow();
  });
});

const value = fc.oneof(
  fc.constantFrom("file", "directory", "link", "a/b", "../x", "", hash),
  fc.integer(),
  fc.double(),
  fc.constant(null),
  fc.string(),
);
const entryLike = fc.record(
  { kind: value, path: value, mode: value, size: value, mtimeMs: value, hash: value, chunks: value, target: value },
  { requiredKeys: ["kind", "path", "mode"] },
);
const nearlyRight = fc.record({
  kind: fc.constantFrom("file", "directory"),
  path: fc.oneof(fc.string(), fc.constantFrom("a", "a/b", "a//b", "./a", "\ud800")),
  mode: fc.integer({ min: -1, max: 0o2000 }),
  size: fc.oneof(fc.integer({ min: -1 }), fc.constant(1.5)),
  mtimeMs: fc.oneof(fc.integer({ min: -1 }), fc.constant(1e17)),
  hash: fc.constantFrom(hash, hash.toUpperCase(), "a"),
});

test("[P-snap-9] [P-snap-12] what is recognised by hand is always right by the schema", () => {
  let recognised = 0;
  const holds = (entry: unknown) => {
    if (!isPlainEntry(entry)) return;
    recognised++;
    expect(entrySchema.safeParse(entry).success).toBe(true);
  };
  fc.assert(fc.property(entryLike, holds), { seed: 1, numRuns: 2_000 });
  fc.assert(fc.property(nearlyRight, holds), { seed: 2, numRuns: 2_000 });
  fc.assert(
    fc.property(
      nearlyRight.map(({ size, mtimeMs, hash: _, ...rest }) => rest),
      holds,
    ),
    { seed: 3, numRuns: 1_000 },
  );
  expect(recognised).toBeGreaterThan(50);
});

test("[P-snap-13] any delta that is made gives back what it was made for", () => {
  const paths = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 12 });
  fc.assert(
    fc.property(paths, paths, (before, after) => {
      const [base, next] = [encodeManifest(withFiles(before)), encodeManifest({ ...withFiles(after), parent: hash })];
      const delta = deltaSchema.parse(JSON.parse(JSON.stringify(diffManifest(base, next))));
      expect(Buffer.from(applyDelta(base, delta, 1_000_000))).toEqual(Buffer.from(next));
    }),
    { seed: 4, numRuns: 300 },
  );
});

test("[P-snap-13] a delta says little more than what is new, however much goes or comes in one place", () => {
  const name = (i: number) => `lib/file-${String(i).padStart(4, "0")}`;
  const some = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => name(from + i));
  const base = encodeManifest(withFiles(some(0, 400)));
  const fewer = encodeManifest(withFiles([...some(0, 100), ...some(300, 400)]));
  const more = encodeManifest(withFiles(some(0, 500)));
  for (const [from, to] of [
    [base, fewer],
    [fewer, base],
    [base, more],
  ] as const) {
    const delta = diffManifest(from, to);
    expect(Buffer.from(applyDelta(from, delta, 1_000_000))).toEqual(Buffer.from(to));
    const inserted = delta.reduce((sum, op) => sum + (typeof op === "string" ? op.length : 0), 0);
    expect(inserted).toBeLessThan(Math.max(0, to.length - from.length) + 20 * 200);
  }
});

test("[P-snap-5] [P-snap-6] a pack that is recognised by hand is always right by the schema", () => {
  const hashLike = fc.oneof(
    { weight: 5, arbitrary: fc.constant(hash) },
    fc.constantFrom(hash.toUpperCase(), `${hash}a`, "g".repeat(64), 7),
  );
  const count = fc.oneof({ weight: 5, arbitrary: fc.integer({ min: 1, max: 1_048_576 }) }, value);
  const chunk = fc.record({ hash: hashLike, length: count }, { requiredKeys: ["hash"] });
  const frame = fc.record({
    offset: count,
    length: count,
    chunks: fc.array(fc.oneof(chunk, chunk, value), { maxLength: 2 }),
  });
  const pack = fc.record({
    hash: hashLike,
    length: count,
    frames: fc.array(fc.oneof(frame, frame, value), { maxLength: 2 }),
  });
  let recognised = 0;
  const holds = (item: unknown) => {
    if (!isPlainPack(item)) return;
    recognised++;
    expect(packSchema.safeParse(item).success).toBe(true);
  };
  fc.assert(fc.property(fc.oneof(pack, value), holds), { seed: 4, numRuns: 6_000 });
  fc.assert(
    fc.property(
      pack.map((right) => ({ ...right, more: 1 })),
      holds,
    ),
    { seed: 5, numRuns: 200 },
  );
  expect(recognised).toBeGreaterThan(50);
});
