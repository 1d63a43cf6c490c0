/** FACTS C2 rows 28, 29 and 31: what is in a workspace that is no plain file, and what changes while it is read. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  closeDirectory,
  openRoot,
  ParentCursor,
  at as pathAt,
} from "../../../executor-host/workspace/directory-handle.ts";
import { readContent, sha256 } from "../../../executor-host/workspace/read-content.ts";
import { removeTree } from "../../../executor-host/workspace/remove-tree.ts";
import { restoreWorkspace } from "../../../executor-host/workspace/restore.ts";
import { scanTree } from "../../../executor-host/workspace/scan.ts";
import { buildSnapshot } from "../../../executor-host/workspace/snapshot-builder.ts";
import { syncWorkspace } from "../../../executor-host/workspace/sync.ts";
import { giveTo } from "../../faults/workspace-varied.ts";
import { describeTree, type Fixture, fixture } from "./fixture.ts";

let at: Fixture;
beforeEach(() => {
  at = fixture();
});
afterEach(() => at.dispose());

const build = (afterReading?: (path: string) => void) =>
  buildSnapshot({
    root: at.root,
    sessionId: "ses_1",
    now: Date.now,
    emit: async () => {},
    ...(afterReading === undefined ? {} : { afterReading }),
  });
const changedOnly = <T extends { changed: boolean }>(built: T) => {
  if (!built.changed) throw new Error("nothing had changed");
  return built as Extract<T, { changed: true }>;
};

describe("[P-snap-15] what cannot be kept is named", () => {
  test("FIFOs, sockets, and names that are not UTF-8", async () => {
    at.write("plain", "plain");
    execFileSync("mkfifo", [join(at.root, "pipe")]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(at.root, "socket"), resolve));
    writeFileSync(Buffer.concat([Buffer.from(`${at.root}/bad-`), Buffer.from([0xff, 0xfe])]), "x");
    writeFileSync(join(at.root, "good-\ufffd"), "a name that really has that letter");
    const { manifest, totals } = changedOnly(await build());
    server.close();
    expect(manifest.omitted).toEqual([
      { path: "bad-\\xff\\xfe", reason: "name_not_utf8" },
      { path: "pipe", reason: "special_file" },
      { path: "socket", reason: "special_file" },
    ]);
    expect(manifest.entries.map(({ path }) => path)).toEqual(["good-\ufffd", "plain"]);
    expect(totals.omitted).toBe(3);
  });

  test("devices, which are not opened", async (context) => {
    at.write("plain", "plain");
    // A terminal's and a memory's: reading either would wait, or never end.
    const made = [
      ["tty", "c", "5", "0"],
      ["zero", "c", "1", "5"],
      ["loop", "b", "7", "0"],
    ].every(([name = "", ...what]) => spawnSync("mknod", [join(at.root, name), ...what]).status === 0);
    if (!made) return context.skip("needs root");
    const { manifest } = changedOnly(await build());
    expect(manifest.entries.map(({ path }) => path)).toEqual(["plain"]);
    expect(manifest.omitted).toEqual(["loop", "tty", "zero"].map((path) => ({ path, reason: "special_file" })));
  });

  test("bounds on count, depth and size", () => {
    at.write("a/b/c/d", "deep");
    at.write("big", "x".repeat(2_000));
    at.write("small", "x");
    const limits = { entries: 5, fileBytes: 1_000, totalBytes: 10_000, pathDepth: 2 };
    expect(scanTree(at.root, { limits }).omitted).toEqual([
      { path: "a/b/c", reason: "too_deep" },
      { path: "big", reason: "too_large", detail: "2000 bytes" },
    ]);
    expect(scanTree(at.root, { limits: { ...limits, entries: 1 } }).omitted.map(({ reason }) => reason)).toContain(
      "too_many",
    );
  });

  test.each(["plain", Buffer.from([0x21, 0xff])])(
    "when there is no room for all, the agents' own folder is in (%j)",
    (other) => {
      at.write(".gantry/claude/history.jsonl", "kept");
      at.write("-first", "x".repeat(500));
      at.write(".cache/x", "x".repeat(500));
      writeFileSync(Buffer.concat([Buffer.from(`${at.root}/`), Buffer.from(other)]), "x");
      const limits = { entries: 100, fileBytes: 1_000, totalBytes: 502, pathDepth: 10 };
      const { found } = scanTree(at.root, { limits });
      expect(found.slice(0, 3).map(({ path }) => path)).toEqual([
        ".gantry",
        ".gantry/claude",
        ".gantry/claude/history.jsonl",
      ]);
    },
  );

  test("a sparse terabyte is refused by its size, not read", () => {
    at.write("sparse", "");
    truncateSync(join(at.root, "sparse"), 2 ** 40);
    expect(scanTree(at.root).omitted).toEqual([{ path: "sparse", reason: "too_large", detail: `${2 ** 40} bytes` }]);
  });

  test("files that cannot be read", async () => {
    at.write("secret", "x");
    chmodSync(join(at.root, "secret"), 0);
    // Root may read everything, so it is somebody else for as long as this takes.
    const root = process.geteuid?.() === 0;
    if (root) {
      chmodSync(at.root, 0o755);
      chmodSync(dirname(at.root), 0o755);
      process.seteuid?.(65_534);
    }
    try {
      expect(changedOnly(await build()).manifest.omitted).toEqual([
        { path: "secret", reason: "unreadable", detail: "EACCES" },
      ]);
    } finally {
      if (root) process.seteuid?.(0);
    }
  });

  test("set-user-id does not travel", async () => {
    at.write("tool", "x", 0o755);
    chmodSync(join(at.root, "tool"), 0o6755);
    expect(changedOnly(await build()).manifest.entries).toMatchObject([{ path: "tool", mode: 0o755 }]);
  });
});

describe("[P-snap-16] files that change while they are read", () => {
  test("one that rests again is read again, whole", async () => {
    at.write("file", "first");
    let readings = 0;
    const { manifest } = changedOnly(
      await build((path) => {
        if (++readings === 1) appendFileSync(join(at.root, path), " and second");
      }),
    );
    expect(readings).toBe(2);
    expect(manifest.omitted).toEqual([]);
    expect(manifest.entries).toMatchObject([{ size: 16, hash: sha256(Buffer.from("first and second")) }]);
  });

  test("one that never rests is kept and marked, and counts as a problem", async () => {
    at.write("log", "x");
    const { manifest, totals } = changedOnly(await build((path) => appendFileSync(join(at.root, path), "x")));
    expect(manifest.omitted).toEqual([{ path: "log", reason: "unstable" }]);
    expect(totals).toMatchObject({ files: 1, omitted: 1 });
  });

  test("a large one that shrinks while it is read", async () => {
    at.write("big", "y".repeat(4_000_000));
    let readings = 0;
    const { manifest } = changedOnly(
      await build((path) => {
        if (++readings === 1) truncateSync(join(at.root, path), 10);
      }),
    );
    expect(manifest.entries).toMatchObject([{ size: 10, hash: sha256(Buffer.from("y".repeat(10))) }]);
  });

  test("one that changes and keeps size and time is still found, in the moment after a sync", async () => {
    at.write("file", "aaaa");
    const first = await syncWorkspace(at.input);
    writeFileSync(join(at.root, "file"), "bbbb");
    const second = await syncWorkspace(at.input);
    expect(second.changed).toBe(true);
    expect(second.snapshotId).not.toBe(first.snapshotId);
  });
});

describe("[P-snap-17] links are never followed", () => {
  test("a folder that becomes a link between looking and reading gives nothing of its target", async () => {
    const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
    try {
      writeFileSync(join(outside, "file"), "outside: secret");
      at.write("dir/file", "inside");
      const swap = () => {
        renameSync(join(at.root, "dir"), join(at.root, "was"));
        symlinkSync(outside, join(at.root, "dir"));
      };
      const { found } = scanTree(at.root);
      expect(found.map(({ path }) => path)).toEqual(["dir", "dir/file"]);
      swap();
      const parents = new ParentCursor(at.root);
      expect(() => parents.parentOf("dir/file")).toThrow(/ELOOP|ENOTDIR/);
      parents.close();
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("a file that becomes a link or a FIFO is not read", async () => {
    at.write("file", "inside");
    const root = openRoot(at.root);
    unlinkSync(join(at.root, "file"));
    symlinkSync("/etc/passwd", join(at.root, "file"));
    await expect(readContent(root, "file", () => undefined)).rejects.toMatchObject({ code: "ELOOP" });
    unlinkSync(join(at.root, "file"));
    execFileSync("mkfifo", [join(at.root, "file")]);
    await expect(readContent(root, "file", () => undefined)).rejects.toMatchObject({ code: "not_a_file" });
    closeDirectory(root);
  });

  test.runIf(process.platform === "linux")(
    "an open folder stays the folder it was, wherever its name leads now",
    async () => {
      at.write("dir/file", "inside");
      const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
      const parents = new ParentCursor(at.root);
      try {
        writeFileSync(join(outside, "file"), "outside");
        const { directory, name } = parents.parentOf("dir/file");
        renameSync(join(at.root, "dir"), join(at.root, "was"));
        symlinkSync(outside, join(at.root, "dir"));
        expect(pathAt(directory, name)).toContain("/proc/self/fd/");
        const { hash } = await readContent(directory, name, () => undefined);
        expect(hash).toBe(sha256(Buffer.from("inside")));
      } finally {
        parents.close();
        rmSync(outside, { recursive: true });
      }
    },
  );

  test("removing a tree removes folders that not even their owner may look into", () => {
    at.write("a/closed/in/file", "x");
    // Root may look into everything, so it is somebody else for as long as this takes.
    const root = process.geteuid?.() === 0;
    if (root) {
      giveTo(65_534, at.root);
      for (const folder of [at.folder, dirname(at.root)]) chmodSync(folder, 0o755);
      process.seteuid?.(65_534);
    }
    try {
      chmodSync(join(at.root, "a/closed/in"), 0);
      chmodSync(join(at.root, "a/closed"), 0o300);
      removeTree(join(at.root, "a"));
    } finally {
      if (root) process.seteuid?.(0);
    }
    expect(readdirSync(at.root)).toEqual([]);
  });

  test("removing a tree removes its links, not what they point to", () => {
    const outside = mkdtempSync(join(tmpdir(), "gantry-outside-"));
    try {
      writeFileSync(join(outside, "precious"), "x");
      at.write("tree/dir/file", "x");
      symlinkSync(outside, join(at.root, "tree/out"));
      symlinkSync(join(outside, "precious"), join(at.root, "tree/dir/out"));
      chmodSync(join(at.root, "tree/dir"), 0o500);
      removeTree(join(at.root, "tree"));
      expect(describeTree(at.root)).toEqual([]);
      expect(describeTree(outside).length).toBe(1);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });
});

test("a path that could not be restored under another folder is not taken", async () => {
  const deep = Array.from({ length: 16 }, () => "d".repeat(200)).join("/");
  mkdirSync(join(at.root, deep), { recursive: true });
  const { manifest } = changedOnly(await build());
  expect(manifest.omitted).toEqual([{ path: deep, reason: "too_deep" }]);
  expect(manifest.entries.length).toBe(15);
});

test("[P-snap-1] a file with holes comes back byte for byte, and its holes cost next to nothing to send", async () => {
  at.write("holes", "begin");
  truncateSync(join(at.root, "holes"), 40_000_000);
  appendFileSync(join(at.root, "holes"), "end");
  const { snapshotId, bytesSent } = await syncWorkspace(at.input);
  expect(bytesSent).toBeLessThan(40_000);
  const there = at.elsewhere(snapshotId);
  await restoreWorkspace(there);
  expect(describeTree(there.root)).toEqual(describeTree(at.root));
});

test("[P-snap-1] file times come back to the millisecond, whatever it is", async () => {
  for (let i = 0; i < 1_000; i++) {
    at.write(`f${i}`, "");
    utimesSync(join(at.root, `f${i}`), 0, 1_700_000_000 + i * 12_345.678901);
  }
  utimesSync(join(at.root, "f0"), 0, -86_400.5);
  const { snapshotId } = await syncWorkspace(at.input);
  const there = at.elsewhere(snapshotId);
  await restoreWorkspace(there);
  expect(describeTree(there.root)).toEqual(describeTree(at.root));
});

test("a workspace with thousands of names in one folder and long names", async () => {
  mkdirSync(join(at.root, "many"));
  for (let i = 0; i < 3_000; i++) writeFileSync(join(at.root, "many", `${i}`), `${i % 50}`);
  at.write(`${"n".repeat(255)}/${"ü".repeat(127)}`, "long");
  const { snapshotId } = await syncWorkspace(at.input);
  const there = at.elsewhere(snapshotId);
  await restoreWorkspace(there);
  expect(describeTree(there.root)).toEqual(describeTree(at.root));
});
