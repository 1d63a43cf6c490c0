/**
 * How much of the host's disk a worker's folders take, for the limit that the engine cannot set (container-spec.ts). Counts
 * allocated blocks, not lengths: a sparse file of a terabyte takes nothing. Never follows a link, never leaves the file
 * system it began on, and is wrong only about what changes while it looks.
 */
import { lstat, opendir } from "node:fs/promises";
import { join } from "node:path";

/** `stat` counts blocks of this size whatever the file system's own is (POSIX sys/stat.h on Linux and macOS). */
const blockBytes = 512;

export type DiskUsage = {
  bytes: number;
  entries: number;
  /** Counting ended early: one of the bounds was passed. */
  over: boolean;
};

export type DiskBounds = { bytes: number; entries: number };

/**
 * @param dirs folders that are there
 * @param bounds counting ends as soon as one is passed, so that a folder of millions of files cannot hold up the daemon
 */
export async function diskUsage(dirs: readonly string[], bounds: DiskBounds): Promise<DiskUsage> {
  const usage: DiskUsage = { bytes: 0, entries: 0, over: false };
  /** Several names of one file take its blocks once. */
  const linked = new Set<string>();
  const waiting: { dir: string; device: number }[] = [];
  for (const dir of dirs) waiting.push({ dir, device: (await lstat(dir)).dev });

  for (let next = waiting.pop(); next; next = waiting.pop()) {
    for await (const { name } of await opened(next.dir)) {
      const path = join(next.dir, name);
      const stats = await lstat(path).catch(goneMeanwhile);
      if (!stats || stats.dev !== next.device) continue;
      usage.entries += 1;
      const inode = `${stats.dev}:${stats.ino}`;
      if (stats.nlink === 1 || stats.isDirectory() || !linked.has(inode)) usage.bytes += stats.blocks * blockBytes;
      if (stats.nlink > 1 && !stats.isDirectory()) linked.add(inode);
      if (stats.isDirectory()) waiting.push({ dir: path, device: next.device });
      if (usage.bytes > bounds.bytes || usage.entries > bounds.entries) return { ...usage, over: true };
    }
  }
  return usage;
}

async function opened(dir: string): Promise<AsyncIterable<{ name: string }>> {
  return (await opendir(dir).catch(goneMeanwhile)) ?? nothing();
}

async function* nothing(): AsyncGenerator<{ name: string }> {}

/** ENOTDIR, ELOOP: a folder that became something else since it was seen; ENAMETOOLONG: deeper than a path can say. */
function goneMeanwhile(error: unknown): undefined {
  const codes = ["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "ENAMETOOLONG"];
  if (error instanceof Error && "code" in error && codes.includes(String(error.code))) return;
  throw error;
}
