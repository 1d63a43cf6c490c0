/** What changed between two snapshots, and the list of a session's snapshots: the answers of `/api/files/…` about time. */
import { z } from "zod";
import { contentHashSchema } from "./snapshot.ts";

/** One row of the index, newest first. Nothing here was looked up in the store. */
export const snapshotRecord = z
  .object({
    id: z.string(),
    /** The session's event that brought it: larger is newer. */
    seq: z.number().int(),
    createdAt: z.number(),
    files: z.number().int(),
    bytes: z.number(),
    /** The run that was under way or had just ended. Absent: before every run, or saved by an earlier version. */
    runId: z.string().optional(),
    /** A host that had lost its lease handed it in: beside the session's own line, never its newest. */
    keptFrom: z.string().optional(),
    /** Kept whatever its age; the name of who pinned it first. */
    pinnedBy: z.string().optional(),
    /** No longer kept since then: its files cannot be read, or not for long. */
    prunedAt: z.number().optional(),
  })
  .meta({ id: "Snapshot" });
export type SnapshotRecord = z.infer<typeof snapshotRecord>;
export const snapshotsAnswer = z.object({
  snapshots: z.array(snapshotRecord),
  /** Give it as `before` for the next page. */
  nextBefore: z.number().int().optional(),
});
export type SnapshotsAnswer = z.infer<typeof snapshotsAnswer>;

/** Lines as in a unified diff: the first character is " ", "+", "-", or "\" for a note about the line before it. */
export const hunk = z.object({
  /** 1 for the first line; 0 when that side has none. */
  oldStart: z.number().int(),
  oldLines: z.number().int(),
  newStart: z.number().int(),
  newLines: z.number().int(),
  lines: z.array(z.string()),
});
export type Hunk = z.infer<typeof hunk>;

/**
 * `lines`: the change itself; `coarse` when the two texts were too different for a line by line comparison and the whole
 * middle is shown as replaced. `left_out`: the answer was long enough, ask for this path alone. `gone`: the content was pruned.
 */
export const changeText = z.discriminatedUnion("state", [
  z.object({
    state: z.literal("lines"),
    added: z.number().int(),
    removed: z.number().int(),
    coarse: z.boolean().optional(),
    hunks: z.array(hunk),
  }),
  z.object({ state: z.enum(["binary", "too_large", "left_out", "gone"]) }),
]);
export type ChangeText = z.infer<typeof changeText>;

export const CHANGES = ["added", "removed", "modified", "renamed", "mode"] as const;
export type Change = (typeof CHANGES)[number];
const kind = z.enum(["file", "directory", "link"]);

export const fileChange = z
  .object({
    path: z.string(),
    /** `renamed`: the same content under another name. `mode`: nothing but the permissions. */
    change: z.enum(CHANGES),
    kind,
    /** Only when it was something else before. */
    kindBefore: kind.optional(),
    /** Only for `renamed`. */
    oldPath: z.string().optional(),
    sizeBefore: z.number().optional(),
    sizeAfter: z.number().optional(),
    /** Both only when they differ. */
    modeBefore: z.number().optional(),
    modeAfter: z.number().optional(),
    /** Links. */
    targetBefore: z.string().optional(),
    targetAfter: z.string().optional(),
    /** Only for files whose content changed, and not with `text=0`. */
    text: changeText.optional(),
  })
  .meta({ id: "FileChange" });
export type FileChange = z.infer<typeof fileChange>;

export const diffAnswer = z
  .object({
    /** Absent: before the first snapshot, when nothing was there. */
    from: contentHashSchema.optional(),
    to: contentHashSchema,
    /** In the order of the paths. */
    changes: z.array(fileChange),
    /** Of all changes, also of those that were not listed. */
    counts: z.object({
      added: z.number().int(),
      removed: z.number().int(),
      modified: z.number().int(),
      renamed: z.number().int(),
      mode: z.number().int(),
    }),
    /** There are more changes than `changes` has; ask for paths by name. */
    truncated: z.boolean(),
  })
  .meta({ id: "Changes" });
export type DiffAnswer = z.infer<typeof diffAnswer>;
