/** What the page of changes derives: which two snapshots, and which lines have which numbers. */
import { describe, expect, test } from "vitest";
import type { SnapshotRecord } from "#protocol/changes.ts";
import { rowsOf } from "../../web/changes/hunk-rows.ts";
import { scopeOf } from "../../web/changes/scope.ts";

const saved = (id: string, createdAt: number, runId?: string): SnapshotRecord => ({
  id,
  seq: createdAt,
  createdAt,
  files: 1,
  bytes: 1,
  ...(runId === undefined ? {} : { runId }),
});
const list = [
  saved("e", 5, "run_3"),
  saved("d", 4, "run_2"),
  saved("c", 3, "run_2"),
  saved("b", 2, "run_1"),
  saved("a", 1),
];

describe("which snapshots", () => {
  test.each([
    ["the last run", {}, { kind: "run", from: "d", to: "e", since: 4 }],
    ["a run with several", { run: "run_2" }, { kind: "run", from: "b", to: "d", since: 2 }],
    ["the first run", { run: "run_1" }, { kind: "run", from: "a", to: "b", since: 1 }],
    ["a run that saved nothing", { run: "run_9" }, { kind: "run", from: "e", since: 5 }],
    ["the whole session of a fork", { scope: "all" }, { kind: "all", from: "a", to: "e", since: 1 }],
    ["any two", { from: "a", to: "c" }, { kind: "between", from: "a", to: "c", since: 1 }],
    ["from the start", { from: "", to: "c" }, { kind: "between", to: "c" }],
    ["up to now", { from: "b", to: "" }, { kind: "between", from: "b", to: "e", since: 2 }],
  ] as const)("%s", (_what, search, expected) => {
    expect(scopeOf(search, list, "run_3")).toEqual(expected);
  });

  test("a run in whose time the first snapshot was made began with nothing", () => {
    expect(scopeOf({ run: "run_1" }, [saved("a", 1, "run_1")])).toEqual({ kind: "run", to: "a" });
  });

  test("a session that began with nothing shows all of it; a fork, what came after", () => {
    expect(scopeOf({ scope: "all" }, list.slice(0, -1))).toEqual({ kind: "all", to: "e" });
    expect(scopeOf({ scope: "all" }, list)).toMatchObject({ from: "a" });
  });

  test("nothing was ever saved", () => {
    expect(scopeOf({}, [], "run_1")).toEqual({ kind: "run" });
    expect(scopeOf({}, list)).toEqual({ kind: "run", from: "e", since: 5 });
  });
});

test("each line has the number that it has in its text", () => {
  const hunks = [
    { oldStart: 1, oldLines: 2, newStart: 1, newLines: 2, lines: ["-a", "+A", " b"] },
    { oldStart: 9, oldLines: 1, newStart: 9, newLines: 1, lines: ["-z", "+z", "\\ No newline at end of file"] },
  ];
  expect(rowsOf(hunks)).toEqual([
    { kind: "removed", text: "a", old: 1 },
    { kind: "added", text: "A", now: 1 },
    { kind: "same", text: "b", old: 2, now: 2 },
    { kind: "note", text: "@@ −9,1 +9,1 @@" },
    { kind: "removed", text: "z", old: 9 },
    { kind: "added", text: "z", now: 9 },
    { kind: "note", text: "No newline at end of file" },
  ]);
});

describe("what is no longer kept", () => {
  const gone = (snapshot: SnapshotRecord, prunedAt = 9) => ({ ...snapshot, prunedAt });
  const [e, d, c, b, a] = list as [SnapshotRecord, SnapshotRecord, SnapshotRecord, SnapshotRecord, SnapshotRecord];

  test("is said of a run that began with it or ended with it, and of no other", () => {
    const pruned = [e, d, gone(c), gone(b, 8), gone(a)];
    expect(scopeOf({ run: "run_2" }, pruned)).toMatchObject({ from: "b", to: "d", prunedAt: 8 });
    expect(scopeOf({ run: "run_1" }, pruned)).toMatchObject({ to: "b", prunedAt: 9 });
    expect(scopeOf({}, pruned, "run_3")).not.toHaveProperty("prunedAt");
    expect(scopeOf({ from: "a", to: "" }, pruned)).toMatchObject({ to: "e", prunedAt: 9 });
  });

  test("does not keep a fork from showing what came since the oldest that is kept", () => {
    expect(scopeOf({ scope: "all" }, [e, d, gone(c), gone(b), gone(a)])).toEqual({
      kind: "all",
      from: "d",
      to: "e",
      since: 4,
    });
  });
});
