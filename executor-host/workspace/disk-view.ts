/**
 * What a workspace's disk says of the paths that a runtime manifest names: which of them and of their parents are there,
 * and which are links. Every name is looked at through its open parent (directory-handle.ts), so nothing outside of the
 * workspace is ever looked at; a link inside is followed by its words, never by the system.
 */
import { lstatSync, readlinkSync } from "node:fs";
import { type RestorePlanInput, type RuntimeManifest, WORKSPACE_ROOT } from "#protocol/runtime-manifest.ts";
import { followLinks } from "#protocol/workspace-path.ts";
import { at, ParentCursor } from "./directory-handle.ts";
import { isAboutTheFile } from "./errors.ts";

export type DiskView = Pick<RestorePlanInput, "existingPaths" | "existingLinks">;
type Links = Map<string, string>;

/** As many as a path may lead through; followLinks refuses more as well. */
const MOST_LINKS = 40;

/** All paths that a manifest names, absolute. */
export function namedPaths(manifest: RuntimeManifest): string[] {
  const { seedFiles, mountPoints, cleanupRules, requiredPaths, protectedPaths } = manifest;
  return [
    ...[...seedFiles, ...mountPoints, ...cleanupRules].map(({ path }) => path),
    ...requiredPaths,
    ...protectedPaths,
  ];
}

/** Looks at `root` for each of `paths`. A path that is no path inside /workspace is passed over: the plan refuses it. */
export function viewDisk(root: string, paths: readonly string[]): DiskView {
  const links: Links = new Map();
  const there = new Set<string>();
  const cursor = new ParentCursor(root);
  try {
    for (const path of paths) {
      if (path.startsWith(`${WORKSPACE_ROOT}/`) && leadsTo(cursor, path, links) !== undefined) there.add(path);
    }
  } finally {
    cursor.close();
  }
  return { existingPaths: [...there], existingLinks: [...links].map(([path, target]) => ({ path, target })) };
}

/** Those of `paths` that lead to nothing on the disk, or out of the workspace. */
export function missingOnDisk(root: string, paths: readonly string[]): string[] {
  const { existingPaths } = viewDisk(root, paths);
  const there = new Set(existingPaths);
  return paths.filter((path) => !there.has(path));
}

/** Where `path` really lies, with all links followed and found to be there; undefined when it is not. Fills `links`. */
function leadsTo(cursor: ParentCursor, path: string, links: Links): string | undefined {
  for (let round = 0; round <= MOST_LINKS; round++) {
    const real = followLinks(path, links);
    if (real === undefined) return undefined;
    if (real === WORKSPACE_ROOT) return real;
    const seen = firstLink(cursor, real);
    if (seen === "missing") return undefined;
    if (seen === "there") return real;
    links.set(seen.path, seen.target);
  }
  return undefined;
}

/** Goes down `real` name by name until the end, a link, or nothing. */
function firstLink(cursor: ParentCursor, real: string): { path: string; target: string } | "there" | "missing" {
  const names = real.slice(WORKSPACE_ROOT.length + 1).split("/");
  for (let depth = 1; depth <= names.length; depth++) {
    const path = names.slice(0, depth).join("/");
    try {
      const { directory, name } = cursor.parentOf(path);
      const stats = lstatSync(at(directory, name), { throwIfNoEntry: false });
      if (stats === undefined) return "missing";
      if (stats.isSymbolicLink()) {
        return { path: `${WORKSPACE_ROOT}/${path}`, target: readlinkSync(at(directory, name)) };
      }
    } catch (error) {
      // A file where a folder should be, or somebody changed it meanwhile: it is not there as it was asked for.
      if (!isAboutTheFile(error)) throw error;
      return "missing";
    }
  }
  return "there";
}
