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

/**
 * Two paths of the manifest, or folders that paths of it lie in, which would become one; undefined when there are none. Folded
 * folders are looked at on their own: what is written below one must not come to lie in the other, or where a link leads.
 */
export function collision({ entries }: Manifest, folding: Folding): [string, string] | undefined {
  if (!folding.case && !folding.unicode) return undefined;
  const seen = new Map<string, string>();
  for (const { path } of entries) {
    for (let part = path; part !== ""; part = part.slice(0, Math.max(0, part.lastIndexOf("/")))) {
      const folded = fold(part, folding);
      const other = seen.get(folded);
      // Then what it lies in was there, too.
      if (other === part) break;
      if (other !== undefined) return [other, part];
      seen.set(folded, part);
    }
  }
  return undefined;
}

function fold(path: string, folding: Folding): string {
  const folded = folding.unicode ? path.normalize("NFC") : path;
  return folding.case ? folded.toUpperCase().toLowerCase() : folded;
}
