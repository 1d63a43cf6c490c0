/**
 * What a sync thread knows of the last snapshot of a workspace: out of the state folder, or out of memory when the folder
 * still has the very files that this thread has read or written. So memory is never more than a faster way to the same.
 */
import { type LastSnapshot, parseManifest, readCurrentId, readLast, readManifestText, stampOf } from "./index-file.ts";
import type { BuildInput } from "./snapshot-builder.ts";

export type Known = NonNullable<BuildInput["last"]> & { text: Uint8Array };
let remembered: { stateDir: string; stamp: string; known: Known } | undefined;

/** The last snapshot; `unreadable` when its manifest is not in the folder or not what it was; undefined when there is none. */
export function knownState(stateDir: string): Known | "unreadable" | undefined {
  const snapshotId = readCurrentId(stateDir);
  if (snapshotId === undefined) return undefined;
  const stamp = stampOf(stateDir, snapshotId);
  if (stamp !== undefined && remembered?.stateDir === stateDir && remembered.stamp === stamp) return remembered.known;
  const text = readManifestText(stateDir, snapshotId);
  const last: LastSnapshot | undefined = text && readLast(stateDir);
  if (text === undefined || last === undefined) return "unreadable";
  const known = { ...last, manifest: parseManifest(text), text };
  remember(stateDir, known);
  return known;
}

/** Called when the state folder has `known` in its files. */
export function remember(stateDir: string, known: Known): void {
  const stamp = stampOf(stateDir, known.snapshotId);
  remembered = stamp === undefined ? undefined : { stateDir, stamp, known };
}
