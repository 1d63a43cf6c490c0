/**
 * When a run is over, the steps on the way fold into one line, so that what the agent says stays readable. A step that
 * failed or was not allowed is never folded away, and neither is a single step.
 */
import type { MessagePart, ToolPart } from "#protocol/transcript.ts";
import { type ToolKind, toolSummary } from "./tool-summary.ts";

export type PartGroup =
  | { kind: "one"; part: MessagePart; key: string }
  | { kind: "steps"; parts: MessagePart[]; key: string };

const FOLD_FROM = 3;

export function isTool(part: MessagePart): part is ToolPart {
  return part.type === "dynamic-tool";
}

export function groupParts(parts: readonly MessagePart[], over: boolean): PartGroup[] {
  const groups: PartGroup[] = [];
  let steps: { part: MessagePart; key: string }[] = [];
  const flush = (): void => {
    const key = steps[0]?.key ?? "";
    if (steps.length >= FOLD_FROM)
      groups.push({ kind: "steps", parts: steps.map((step) => step.part), key: `steps-${key}` });
    else groups.push(...steps.map((step): PartGroup => ({ kind: "one", ...step })));
    steps = [];
  };
  for (const [index, part] of parts.entries()) {
    const key = isTool(part) ? part.toolCallId : `${part.type}-${index}`;
    if (over && isQuietStep(part)) {
      steps.push({ part, key });
      continue;
    }
    flush();
    groups.push({ kind: "one", part, key });
  }
  flush();
  return groups;
}

function isQuietStep(part: MessagePart): boolean {
  return part.type === "reasoning" || (isTool(part) && toolSummary(part).outcome === "done");
}

const NOUNS: Readonly<Record<ToolKind, readonly [string, string, string]>> = {
  run: ["ran", "command", "commands"],
  read: ["read", "file", "files"],
  write: ["wrote", "file", "files"],
  edit: ["edited", "file", "files"],
  search: ["searched", "time", "times"],
  web: ["fetched", "page", "pages"],
  task: ["delegated", "task", "tasks"],
  todo: ["updated", "list", "lists"],
  ask: ["asked", "question", "questions"],
  other: ["called", "tool", "tools"],
};

/** "Read 3 files, ran 2 commands". */
export function stepsSummary(parts: readonly MessagePart[]): string {
  const counts = new Map<ToolKind, number>();
  for (const part of parts) {
    if (!isTool(part)) continue;
    const { kind } = toolSummary(part);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  const said = [...counts].map(([kind, times]) => {
    const [verb, one, many] = NOUNS[kind];
    return `${verb} ${times} ${times === 1 ? one : many}`;
  });
  const line = said.join(", ") || "thought about it";
  return line.charAt(0).toUpperCase() + line.slice(1);
}
