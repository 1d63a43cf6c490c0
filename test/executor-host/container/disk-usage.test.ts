import { link, mkdir, mkdtemp, open, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { diskUsage } from "../../../executor-host/container/disk-usage.ts";

const MiB = 1024 * 1024;
const wide = { bytes: 1_000 * MiB, entries: 1_000 };

describe("disk usage", () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "gantry-"));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  test("counts what is allocated, in all folders, at any depth", async () => {
    await mkdir(join(root, "a/b"), { recursive: true });
    await mkdir(join(root, "c"));
    await writeFile(join(root, "a/b/file"), Buffer.alloc(MiB, 1));
    await writeFile(join(root, "c/file"), Buffer.alloc(MiB, 1));
    const { bytes, entries, over } = await diskUsage([join(root, "a"), join(root, "c")], wide);
    expect(bytes).toBeGreaterThanOrEqual(2 * MiB);
    expect(bytes).toBeLessThan(2.1 * MiB);
    expect([entries, over]).toEqual([3, false]);
  });

  test("a sparse file takes nothing, several names of a file take it once, links are not followed", async () => {
    const sparse = await open(join(root, "sparse"), "w");
    await sparse.truncate(1_000 * MiB);
    await sparse.close();
    await writeFile(join(root, "file"), Buffer.alloc(MiB, 1));
    await link(join(root, "file"), join(root, "again"));
    await symlink("/usr", join(root, "link"));
    expect(await diskUsage([root], wide)).toMatchObject({ over: false, entries: 4 });
    expect((await diskUsage([root], wide)).bytes).toBeLessThan(1.1 * MiB);
  });

  test("counting ends at either bound", async () => {
    for (let index = 0; index < 20; index++) await writeFile(join(root, `f${index}`), Buffer.alloc(64 * 1024, 1));
    expect(await diskUsage([root], { ...wide, entries: 5 })).toMatchObject({ over: true, entries: 6 });
    const { bytes, over } = await diskUsage([root], { ...wide, bytes: 100_000 });
    expect(over).toBe(true);
    expect(bytes).toBeLessThan(200_000);
  });

  test("a folder that is missing is the caller's mistake", async () => {
    await expect(diskUsage([join(root, "nothing")], wide)).rejects.toThrow("ENOENT");
  });
});
