/**
 * What an app wants of a workspace before a run. All paths are absolute, inside `/workspace`. The shape is checked
 * here; that paths stay inside, that versions fit and that nothing contradicts itself is restore-plan.ts, which the edge
 * and the host both ask.
 */
import { z } from "zod";
import { SNAPSHOT_LIMITS } from "./snapshot-limits.ts";

/** The layout that hosts of this version prepare. A manifest with another major version is refused. */
export const RUNTIME_VERSION = "1.0";
export const WORKSPACE_ROOT = "/workspace";

const MOST_ENTRIES = 500;
const MOST_SEED_CHARS = 256 * 1024;
const MOST_TRAVELLING_CHARS = 64 * 1024;
/** Checked in restore-plan.ts, which can say which one is wrong and why, with the others. */
const path = z.string().max(SNAPSHOT_LIMITS.pathBytes);

/** What happens to a seed file whose path the session already has: it keeps its own, it gets the seed, or the plan is refused. */
export const CONFLICT_POLICIES = ["keep_session", "overwrite", "fail"] as const;

export const runtimeManifestSchema = z
  .strictObject({
    /** `major.minor`, as RUNTIME_VERSION. */
    runtimeVersion: z.string().regex(/^\d{1,4}\.\d{1,4}$/, "a version: major.minor"),
    seedFiles: z
      .array(
        z.strictObject({
          path,
          content: z.string().max(MOST_SEED_CHARS),
          mode: z.number().int().min(0).max(0o777).default(0o644),
          layer: z.enum(["base", "app"]).default("app"),
        }),
      )
      .max(MOST_ENTRIES)
      .default([]),
    mountPoints: z
      .array(
        z.strictObject({
          path,
          /** Whose files are shown there: a warm base, the app's own, or the agents' state. */
          source: z.enum(["base", "app", "agent-data"]),
          readOnly: z.boolean().default(true),
        }),
      )
      .max(MOST_ENTRIES)
      .default([]),
    /** Removed when everything else is in place. `contents` leaves the folder itself. */
    cleanupRules: z
      .array(z.strictObject({ path, remove: z.enum(["all", "contents"]).default("all") }))
      .max(MOST_ENTRIES)
      .default([]),
    /** Have to be there before the run starts. */
    requiredPaths: z.array(path).max(MOST_ENTRIES).default([]),
    /** No seed replaces them and no rule removes them. */
    protectedPaths: z.array(path).max(MOST_ENTRIES).default([]),
    conflictPolicy: z.enum(CONFLICT_POLICIES).default("keep_session"),
  })
  .meta({ id: "RuntimeManifest" });
export type RuntimeManifest = z.output<typeof runtimeManifestSchema>;

/** A manifest that travels with a prompt: it is kept in the session's log until the run has ended. */
export const promptManifestSchema = runtimeManifestSchema.refine(
  (manifest) => JSON.stringify(manifest).length <= MOST_TRAVELLING_CHARS,
  `a manifest that comes with a prompt has at most ${MOST_TRAVELLING_CHARS} characters`,
);

export const restorePlanBody = z.strictObject({
  manifest: runtimeManifestSchema,
  /** What the workspace has, files and folders; the host asks its disk instead. */
  existingPaths: z.array(path).max(20_000).default([]),
  /** Links among them, with what they point to. */
  existingLinks: z
    .array(z.strictObject({ path, target: path }))
    .max(MOST_ENTRIES)
    .default([]),
});
export type RestorePlanInput = z.output<typeof restorePlanBody>;

const step = z.discriminatedUnion("action", [
  z.object({ action: z.literal("mount"), path: z.string(), source: z.string(), readOnly: z.boolean() }),
  /** `replace`: over what the session has. `keep`: the session's own stays, the seed is not written. */
  z.object({ action: z.enum(["seed", "replace"]), path: z.string(), mode: z.number(), bytes: z.number() }),
  z.object({ action: z.literal("keep"), path: z.string(), why: z.enum(["session", "protected"]) }),
  z.object({ action: z.literal("restore_session") }),
  z.object({ action: z.literal("remove"), path: z.string(), contents: z.boolean(), except: z.array(z.string()) }),
  z.object({ action: z.literal("require"), path: z.string() }),
]);
export type RestoreStep = z.infer<typeof step>;

export const LAYERS = [
  ["L0", "base"],
  ["L1", "app"],
  ["L2", "agent data"],
  ["L3", "session"],
  ["L4", "runtime fix-ups"],
] as const;
export type LayerName = (typeof LAYERS)[number][0];

/** To be carried out from the first layer to the last, each step in its order. */
export const restorePlanSchema = z
  .object({
    runtimeVersion: z.string(),
    conflictPolicy: z.enum(CONFLICT_POLICIES),
    layers: z.array(
      z.object({ layer: z.enum(["L0", "L1", "L2", "L3", "L4"]), name: z.string(), steps: z.array(step) }),
    ),
  })
  .meta({ id: "RestorePlan" });
export type RestorePlan = z.infer<typeof restorePlanSchema>;
