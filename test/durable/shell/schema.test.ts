/** An object's tables grow with the code; what an older version wrote stays. */
import { describe, expect, test } from "vitest";
import { upgrade } from "../../../durable/shell/schema.ts";
import { Disk } from "../../fuzz/disk.ts";

const FIRST = "CREATE TABLE note (n INTEGER PRIMARY KEY, text TEXT NOT NULL)";
const SECOND = "ALTER TABLE note ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0";

function object() {
  const disk = new Disk(() => {});
  const storage = disk.storage({ alive: true });
  const notes = () => disk.rows<Record<string, unknown>>("SELECT * FROM note ORDER BY n").map((row) => ({ ...row }));
  const changed = (work: () => void) => {
    const before = disk.changes;
    work();
    return disk.changes - before;
  };
  return { disk, storage, notes, changed };
}

describe("the tables of an object", () => {
  test("each step runs once, whatever the number of wakes", () => {
    const { disk, storage, notes, changed } = object();
    upgrade(storage, "notes", [FIRST]);
    disk.rows("INSERT INTO note (text) VALUES ('kept')");
    upgrade(storage, "notes", [FIRST, SECOND]);
    upgrade(storage, "notes", [FIRST, SECOND]);
    expect(notes()).toEqual([{ n: 1, text: "kept", pinned: 0 }]);
    // What remains is the look itself.
    expect(changed(() => upgrade(storage, "notes", [FIRST, SECOND]))).toBe(1);
  });

  test("owners do not count each other's steps", () => {
    const { disk, storage } = object();
    upgrade(storage, "notes", [FIRST, SECOND]);
    upgrade(storage, "others", ["CREATE TABLE other (n INTEGER PRIMARY KEY)"]);
    expect(disk.rows("SELECT n FROM other")).toEqual([]);
  });

  test("a step that fails takes the steps before it back, and the next wake tries again", () => {
    const { disk, storage, notes } = object();
    upgrade(storage, "notes", [FIRST]);
    expect(() => upgrade(storage, "notes", [FIRST, SECOND, "ALTER TABLE nowhere ADD COLUMN x"])).toThrow(/nowhere/);
    disk.rows("INSERT INTO note (text) VALUES ('as before')");
    expect(notes()).toEqual([{ n: 1, text: "as before" }]);
    upgrade(storage, "notes", [FIRST, SECOND]);
    expect(notes()).toEqual([{ n: 1, text: "as before", pinned: 0 }]);
  });

  test("a version that was rolled back leaves what a newer one has made alone", () => {
    const { disk, storage, notes } = object();
    upgrade(storage, "notes", [FIRST, SECOND]);
    upgrade(storage, "notes", [FIRST]);
    disk.rows("INSERT INTO note (text) VALUES ('by the older one')");
    upgrade(storage, "notes", [FIRST, SECOND]);
    expect(notes()).toEqual([{ n: 1, text: "by the older one", pinned: 0 }]);
  });
});
