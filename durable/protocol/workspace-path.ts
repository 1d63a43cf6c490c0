/** Absolute paths as a runtime manifest names them, and whether links among them lead out of the workspace. */
import { WORKSPACE_ROOT } from "./runtime-manifest.ts";
import { isSafePath } from "./snapshot-limits.ts";

/** As many as Linux follows before it gives up with ELOOP. */
const MOST_LINKS = 40;

/** Why `path` cannot be used, in words; undefined when it names something below `/workspace`. */
export function pathFault(path: string): string | undefined {
  if (!path.startsWith("/")) return "not absolute";
  const inside = path.slice(WORKSPACE_ROOT.length + 1);
  if (!path.startsWith(`${WORKSPACE_ROOT}/`)) return `outside of ${WORKSPACE_ROOT}`;
  if (inside.split("/").some((name) => name === "..")) return "leads upwards";
  // Letters on Linux, and a way up on other systems: nobody needs them in a manifest.
  if (/[\\\p{Cc}]/u.test(inside)) return "a backslash or a control character";
  return isSafePath(inside) ? undefined : "not in its plain form";
}

/** Is `path` the same as `folder`, or in it? */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/**
 * Where `path` really leads when `links` (path → target) are followed; undefined when that is outside of the workspace, or
 * goes round in circles.
 */
export function followLinks(path: string, links: ReadonlyMap<string, string>): string | undefined {
  let waiting = path.split("/").slice(1);
  let at = "";
  let followed = 0;
  while (waiting.length > 0) {
    const [name = "", ...rest] = waiting;
    waiting = rest;
    if (name === "" || name === ".") continue;
    if (name === "..") {
      at = at.slice(0, Math.max(at.lastIndexOf("/"), 0));
      // Coming back in by the front door does not make a way out harmless: what lies outside is not ours to know.
      if (!isWithin(at, WORKSPACE_ROOT)) return undefined;
      continue;
    }
    const next = `${at}/${name}`;
    const target = links.get(next);
    if (target === undefined) at = next;
    else {
      if (++followed > MOST_LINKS) return undefined;
      if (target.startsWith("/")) at = "";
      waiting = [...target.split("/"), ...waiting];
    }
  }
  return isWithin(at, WORKSPACE_ROOT) ? at : undefined;
}
