/**
 * The last snapshot as folders of names, for a walk that goes beside it: what is found as it was needs no path put together
 * and no rule looked up again.
 */
import type { Manifest, SnapshotEntry } from "#protocol/snapshot.ts";
import { leftOutFile, leftOutFolder } from "./policy.ts";
import type { Signature, Signatures } from "./signature.ts";

/** Of a file `signature` says when it is as it was; a folder has what is `below` it. */
export type KnownName = { entry: SnapshotEntry; signature: Signature | undefined; below: KnownFolder | undefined };
export type KnownFolder = Map<string, KnownName>;

/** Without what policy leaves out by now: the snapshot may be older than the policy. */
export function knownTree({ entries }: Manifest, signatures: Signatures): KnownFolder {
  const root: KnownFolder = new Map();
  const folders = new Map<string, KnownFolder>([["", root]]);
  // Entries are sorted: a folder comes before what is in it, and most follow another of the same folder.
  let parent = "";
  let folder: KnownFolder | undefined = root;
  for (const entry of entries) {
    const { path } = entry;
    const slash = path.lastIndexOf("/");
    const above = slash === -1 ? "" : path.slice(0, slash);
    if (above !== parent) {
      parent = above;
      folder = folders.get(above);
    }
    if (folder === undefined) continue;
    const isFolder = entry.kind === "directory";
    if ((isFolder ? leftOutFolder(path) : leftOutFile(path)) !== undefined) continue;
    const below: KnownFolder | undefined = isFolder ? new Map() : undefined;
    if (below !== undefined) folders.set(path, below);
    folder.set(path.slice(slash + 1), { entry, signature: signatures.get(path), below });
  }
  return root;
}
