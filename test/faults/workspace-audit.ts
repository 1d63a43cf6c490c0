/** What has to hold of a store and of trees, whatever happened to the hosts: in words, empty when it holds. */
import { createHash } from "node:crypto";
import { zstdDecompressSync } from "node:zlib";
import { readManifest } from "#protocol/manifest-read.ts";
import type { MemoryStore } from "../executor-host/workspace/store-peer.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const nameOf = (key: string) => key.slice(key.lastIndexOf("/") + 1);

/** Every snapshot is whole and sound, and every pack it points to is there with its bytes. */
export function dangling({ objects }: MemoryStore): string[] {
  const wrong: string[] = [];
  for (const [key, bytes] of objects) {
    if (!key.includes("/snapshots/")) continue;
    const text = zstdDecompressSync(bytes);
    const read = readManifest(text);
    if (sha256(text) !== nameOf(key) || !read.ok) wrong.push(`${key} is not a manifest of that name`);
    else {
      for (const { hash } of read.manifest.packs) {
        const pack = objects.get(key.replace(/snapshots\/.*/, `packs/${hash}`));
        if (pack === undefined || sha256(pack) !== hash) wrong.push(`${key} points to ${hash}, which is not there`);
      }
    }
  }
  return wrong;
}

/** What a stored snapshot holds, as `describeTree` says it of a tree; that it is not there, if so. */
export function describeSnapshot({ objects }: MemoryStore, snapshotId: string): string[] {
  const key = [...objects.keys()].find((each) => each.endsWith(`/snapshots/${snapshotId}`));
  const read = key === undefined ? undefined : readManifest(zstdDecompressSync(objects.get(key)!));
  if (!read?.ok) return [`no snapshot ${snapshotId}`];
  return read.manifest.entries.map((entry) => {
    if (entry.kind === "link") return `${entry.path} -> ${entry.target}`;
    const mode = entry.mode.toString(8);
    if (entry.kind === "directory") return `${entry.path}/ ${mode}`;
    return `${entry.path} ${mode} ${entry.mtimeMs} ${entry.size} ${entry.hash}`;
  });
}

/** How a tree differs from the one that it has to equal. */
export function differences(what: string, got: readonly string[], wanted: readonly string[]): string[] {
  const [has, needs] = [new Set(got), new Set(wanted)];
  const lines = [
    ...wanted.filter((line) => !has.has(line)).map((line) => `lacks ${line}`),
    ...got.filter((line) => !needs.has(line)).map((line) => `has ${line}`),
  ];
  return lines.length === 0 ? [] : [`${what}: ${lines.slice(0, 4).join("; ")} (${lines.length})`];
}
