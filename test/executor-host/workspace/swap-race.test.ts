/**
 * FACTS C2 row 29: somebody swaps folders and files for links to the outside while the workspace is read and removed. The
 * swapping runs in a thread of its own, as fast as it can; a seed would not make it repeatable, so the invariant is checked
 * over many attempts: nothing from outside is ever read, nothing outside ever goes.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ParentCursor } from "../../../executor-host/workspace/directory-handle.ts";
import { codeOf, isAboutTheFile } from "../../../executor-host/workspace/errors.ts";
import { readContent, sha256 } from "../../../executor-host/workspace/read-content.ts";
import { removeTree } from "../../../executor-host/workspace/remove-tree.ts";
import { buildSnapshot } from "../../../executor-host/workspace/snapshot-builder.ts";
import { type Fixture, fixture } from "./fixture.ts";
import { SECRET, type Swapper, startSwapper } from "./swapper.ts";

let at: Fixture;
let swapper: Swapper;

beforeEach(async () => {
  at = fixture();
  at.write("dir/file", "inside");
  at.write("file", "inside");
  swapper = await startSwapper(at.root);
});
afterEach(async () => {
  await swapper.stop();
  at.dispose();
});

/** A few seconds on a busy machine. */
const READS = 8_000;
const BUILDS = 150;
const REMOVALS = 1_000;

test.runIf(process.platform === "linux")("[P-snap-17] no reading ever gives what lies outside", async () => {
  let read = 0;
  let refused = 0;
  for (let attempt = 0; attempt < READS; attempt++) {
    const parents = new ParentCursor(at.root);
    try {
      const { directory, name } = parents.parentOf(attempt % 2 === 0 ? "dir/file" : "file");
      const content = await readContent(directory, name, () => undefined);
      expect(content.hash).not.toBe(sha256(Buffer.from(SECRET)));
      read++;
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      expect(["ELOOP", "ENOTDIR", "ENOENT"]).toContain(codeOf(error));
      refused++;
    } finally {
      parents.close();
    }
  }
  // Both have to have been seen, or nothing was raced.
  expect(read).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
  expect(swapper.rounds()).toBeGreaterThan(0);
});

test.runIf(process.platform === "linux")("[P-snap-17] no snapshot ever holds what lies outside", async () => {
  for (let attempt = 0; attempt < BUILDS; attempt++) {
    const emit = async () => {};
    const built = await buildSnapshot({ root: at.root, sessionId: "ses_1", now: Date.now, emit });
    if (!built.changed) throw new Error("there was nothing to compare with");
    const text = JSON.stringify(built.manifest);
    expect(text).not.toContain(sha256(Buffer.from(SECRET)));
  }
});

test.runIf(process.platform === "linux")("[P-snap-17] removing never reaches what lies outside", () => {
  for (let attempt = 0; attempt < REMOVALS; attempt++) {
    try {
      removeTree(join(at.root, "dir"));
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
    }
    expect(existsSync(join(swapper.outside, "file"))).toBe(true);
    try {
      mkdirSync(join(at.root, "dir"));
      writeFileSync(join(at.root, "dir/made-again"), "inside", { flag: "wx" });
    } catch (error) {
      if (!isAboutTheFile(error)) throw error;
      rmSync(join(swapper.outside, "made-again"), { force: true });
    }
  }
});
