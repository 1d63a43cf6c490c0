/** Names that are two on one file system and one on another: only a target that folds them refuses them. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "#protocol/snapshot.ts";

export type Folding = { case: boolean; unicode: boolean };

/** How the file system at `directory` treats names, by trying. */
export function foldingOf(directory: string): Folding {
  const tries = (written: string, asked: string): boolean => {
    const path = join(directory, written);
    writeFileSync(path, "");
    const folded = existsSync(join(directory, asked));
    rmSync(path);
    return folded;
  };
  return { case: tries(".gantry-fold", ".GANTRY-FOLD"), unicode: tries(".gantry-\u00e9", ".gantry-e\u0301") };
}

/** Two paths of the manifest that would become one; undefined when there are none. */
export function collision(manifest: Manifest, folding: Folding): [string, string] | undefined {
  if (!folding.case && !folding.unicode) return undefined;
  const seen = new Map<string, string>();
  for (const { path } of manifest.entries) {
    let folded = folding.unicode ? path.normalize("NFC") : path;
    if (folding.case) folded = folded.toUpperCase().toLowerCase();
    const other = seen.get(folded);
    if (other !== undefined) return [other, path];
    seen.set(folded, path);
  }
  return undefined;
}
