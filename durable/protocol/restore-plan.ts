/**
 * From a runtime manifest and what is there, to what will be done. Pure: the edge answers with it, the host
 * asks it again with what its disk says, and that answer counts.
 *
 *   version → paths inside → links inside → no contradiction → layers L0 … L4 → required paths
 *   └──────────────── refused before anything else is looked at ─────────────┘
 *
 * A later layer lies over an earlier one. So with `keep_session` the session's own files win by their order alone; with
 * `overwrite` the seeds that would lose are written again in L4.
 */
import { type Rejection, reject } from "./objects.ts";
import {
  LAYERS,
  type LayerName,
  type RestorePlan,
  type RestorePlanInput,
  type RestoreStep,
  RUNTIME_VERSION,
  type RuntimeManifest,
} from "./runtime-manifest.ts";
import { followLinks, isWithin, pathFault } from "./workspace-path.ts";

type Planned = { ok: true; plan: RestorePlan } | Rejection | RequiredPathsMissing;
/** names this answer's fields. */
type RequiredPathsMissing = Rejection & { reason: "required_paths_missing"; missing: string[] };

const MOST_SHOWN = 20;

export function planRestore(input: RestorePlanInput): Planned {
  const refusal =
    versionRefusal(input.manifest) ?? pathRefusal(input) ?? linkRefusal(input) ?? contradiction(input.manifest);
  if (refusal) return refusal;
  const existing = withParents(input.existingPaths.concat(input.existingLinks.map(({ path }) => path)));
  const conflict = conflictRefusal(input.manifest, existing);
  if (conflict) return conflict;
  const layers = LAYERS.map(([layer, name]) => ({ layer, name, steps: stepsOf(layer, input.manifest, existing) }));
  const missing = missingPaths(input.manifest, existing);
  if (missing.length > 0) {
    const message = `The run needs ${missing.join(", ")}, which the workspace will not have.`;
    return { ok: false, reason: "required_paths_missing", message, missing };
  }
  const { runtimeVersion, conflictPolicy } = input.manifest;
  return { ok: true, plan: { runtimeVersion, conflictPolicy, layers } };
}

function versionRefusal({ runtimeVersion }: RuntimeManifest): Rejection | undefined {
  if (runtimeVersion.split(".")[0] === RUNTIME_VERSION.split(".")[0]) return undefined;
  return reject(
    "runtime_version_mismatch",
    `The manifest is for runtime ${runtimeVersion}; this is ${RUNTIME_VERSION}.`,
    { wanted: runtimeVersion, have: RUNTIME_VERSION },
  );
}

function pathRefusal({ manifest, existingPaths, existingLinks }: RestorePlanInput): Rejection | undefined {
  const all = [...pathsOf(manifest), ...existingPaths, ...existingLinks.map(({ path }) => path)];
  const faults = all.flatMap((path) => {
    const why = pathFault(path);
    return why === undefined ? [] : [{ path, why }];
  });
  const [first] = faults;
  if (!first) return undefined;
  const message = `${JSON.stringify(first.path)} is not a path inside /workspace: ${first.why}.`;
  return reject("path_outside_workspace", message, { paths: faults.slice(0, MOST_SHOWN) });
}

/** Nothing is written, mounted, removed or required through a link that leads outside. */
function linkRefusal({ manifest, existingLinks }: RestorePlanInput): Rejection | undefined {
  const links = new Map(existingLinks.map(({ path, target }) => [path, target]));
  const out = pathsOf(manifest).filter((path) => followLinks(path, links) === undefined);
  if (out.length === 0) return undefined;
  return reject("link_outside_workspace", `${out[0]} leads through a link out of /workspace.`, {
    paths: out.slice(0, MOST_SHOWN),
  });
}

function contradiction({
  seedFiles,
  mountPoints,
  cleanupRules,
  protectedPaths,
}: RuntimeManifest): Rejection | undefined {
  const refuse = (message: string, ...paths: string[]) => reject("manifest_contradicts_itself", message, { paths });
  const seeds = seedFiles.map(({ path }) => path);
  const mounts = mountPoints.map(({ path }) => path);
  const twice = [seeds, mounts].flatMap((list) => list.filter((path, at) => list.indexOf(path) !== at))[0];
  if (twice !== undefined) return refuse(`${twice} is named twice.`, twice);
  for (const path of [...seeds, ...mounts]) {
    const file = seeds.find((seed) => seed !== path && isWithin(path, seed));
    if (file !== undefined) return refuse(`${path} lies in ${file}, which is a file.`, path, file);
    const mount = mounts.find((other) => other !== path && isWithin(path, other));
    if (mount !== undefined) return refuse(`${path} would be hidden by the mount at ${mount}.`, path, mount);
    if (seeds.includes(path) && mounts.includes(path)) return refuse(`${path} is a seed and a mount.`, path);
  }
  for (const { path } of cleanupRules) {
    if (protectedPaths.some((kept) => isWithin(path, kept)))
      return refuse(`${path} is protected and cleaned up.`, path);
    const mount = mounts.find((other) => isWithin(other, path) || isWithin(path, other));
    if (mount !== undefined) return refuse(`Cleaning up ${path} would reach into the mount at ${mount}.`, path, mount);
  }
  return undefined;
}

function conflictRefusal(manifest: RuntimeManifest, existing: ReadonlySet<string>): Rejection | undefined {
  if (manifest.conflictPolicy !== "fail") return undefined;
  const paths = manifest.seedFiles.map(({ path }) => path).filter((path) => existing.has(path));
  if (paths.length === 0) return undefined;
  return reject("path_conflict", `The session already has ${paths.join(", ")}.`, { paths: paths.slice(0, MOST_SHOWN) });
}

function stepsOf(layer: LayerName, manifest: RuntimeManifest, existing: ReadonlySet<string>): RestoreStep[] {
  switch (layer) {
    case "L0":
      return [...mounts(manifest, "base"), ...seeds(manifest, "base", existing)];
    case "L1":
      return [...mounts(manifest, "app"), ...seeds(manifest, "app", existing)];
    case "L2":
      return mounts(manifest, "agent-data");
    case "L3":
      return [{ action: "restore_session" }];
    case "L4":
      return [
        ...replacements(manifest, existing),
        ...manifest.cleanupRules.map(({ path, remove }) =>
          removal(path, remove === "contents", manifest.protectedPaths),
        ),
        ...manifest.requiredPaths.map((path): RestoreStep => ({ action: "require", path })),
      ];
    default:
      return layer satisfies never;
  }
}

function mounts({ mountPoints }: RuntimeManifest, from: string): RestoreStep[] {
  return mountPoints
    .filter(({ source }) => source === from)
    .map(({ path, source, readOnly }) => ({ action: "mount", path, source, readOnly }));
}

function seeds(manifest: RuntimeManifest, layer: string, existing: ReadonlySet<string>): RestoreStep[] {
  return manifest.seedFiles
    .filter((seed) => seed.layer === layer && (manifest.conflictPolicy !== "overwrite" || !existing.has(seed.path)))
    .map((seed) =>
      existing.has(seed.path) ? { action: "keep", path: seed.path, why: "session" } : written("seed", seed),
    );
}

/** Only with `overwrite`: what the session's layer has laid over the seeds. */
function replacements(manifest: RuntimeManifest, existing: ReadonlySet<string>): RestoreStep[] {
  if (manifest.conflictPolicy !== "overwrite") return [];
  const isProtected = (path: string) =>
    manifest.protectedPaths.some((kept) => isWithin(path, kept) || isWithin(kept, path));
  return manifest.seedFiles
    .filter(({ path }) => existing.has(path))
    .map((seed) =>
      isProtected(seed.path) ? { action: "keep", path: seed.path, why: "protected" } : written("replace", seed),
    );
}

function written(
  action: "seed" | "replace",
  { path, mode, content }: RuntimeManifest["seedFiles"][number],
): RestoreStep {
  return { action, path, mode, bytes: new TextEncoder().encode(content).length };
}

function removal(path: string, contents: boolean, protectedPaths: readonly string[]): RestoreStep {
  return { action: "remove", path, contents, except: protectedPaths.filter((kept) => isWithin(kept, path)) };
}

/** Those of `requiredPaths` that neither are there nor are brought, or that are cleaned up again. */
function missingPaths(manifest: RuntimeManifest, existing: ReadonlySet<string>): string[] {
  const brought = withParents([...manifest.seedFiles, ...manifest.mountPoints].map(({ path }) => path));
  const kept = withParents(manifest.protectedPaths.filter((path) => existing.has(path) || brought.has(path)));
  const isRemoved = (path: string) =>
    manifest.cleanupRules.some(
      ({ path: rule, remove }) => isWithin(path, rule) && !(remove === "contents" && path === rule),
    ) && !manifest.protectedPaths.some((folder) => isWithin(path, folder));
  return manifest.requiredPaths.filter(
    (path) => !(existing.has(path) || brought.has(path)) || (isRemoved(path) && !kept.has(path)),
  );
}

function pathsOf({ seedFiles, mountPoints, cleanupRules, requiredPaths, protectedPaths }: RuntimeManifest): string[] {
  const named = [...seedFiles, ...mountPoints, ...cleanupRules].map(({ path }) => path);
  return [...named, ...requiredPaths, ...protectedPaths];
}

/** The paths, and every folder that they lie in. */
function withParents(paths: readonly string[]): Set<string> {
  const all = new Set<string>();
  for (const path of paths) {
    for (let at = path; at !== "" && !all.has(at); at = at.slice(0, at.lastIndexOf("/"))) all.add(at);
  }
  return all;
}
