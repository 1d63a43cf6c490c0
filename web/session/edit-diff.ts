/** Finds the change in what a tool was given, in the shapes the providers use. */
import { type DiffLine, lineDiff, patchLines } from "./line-diff.ts";

export type FileDiff = { path: string; lines: DiffLine[] };

const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

/** Empty when the input describes no change. */
export function editDiffs(input: Record<string, unknown>): FileDiff[] {
  const path = text(input.file_path) ?? text(input.filePath) ?? text(input.path) ?? text(input.notebook_path) ?? "";
  const patch = text(input.diff) ?? text(input.patch) ?? text(input.unified_diff);
  if (patch !== undefined) return [{ path, lines: patchLines(patch) }];
  if (Array.isArray(input.changes))
    return input.changes.flatMap((change) => (isRecord(change) ? editDiffs(change) : []));
  if (Array.isArray(input.edits)) {
    return input.edits.flatMap((edit) => (isRecord(edit) ? editDiffs({ file_path: path, ...edit }) : []));
  }
  const before = text(input.old_string) ?? text(input.oldString) ?? text(input.old_str);
  const after = text(input.new_string) ?? text(input.newString) ?? text(input.new_str);
  if (before !== undefined && after !== undefined) return [{ path, lines: lineDiff(before, after) }];
  const content = text(input.content);
  return path && content !== undefined ? [{ path, lines: lineDiff("", content) }] : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
