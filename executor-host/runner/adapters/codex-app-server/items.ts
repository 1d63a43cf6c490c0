/**
 * Codex's items (a command, a patch, a call of a tool) as input and output of tools, in the shapes that people are shown:
 * diffs for edits, exit codes for commands. Pure.
 */
import type { UIMessageChunk } from "ai";
import { lineDiff } from "../line-diff.ts";

export type Item = Record<string, unknown> & { type?: string; id?: string; status?: string };
type Change = { path?: string; diff?: string; kind?: { type?: string; move_path?: string | null } };

export function inputOf(item: Item): unknown {
  switch (item.type) {
    case "commandExecution":
      return { command: item.command, cwd: item.cwd };
    case "fileChange":
      return { ...pathOf(item), changes: changesOf(item) };
    case "collabAgentToolCall":
      return { tool: item.tool, prompt: item.prompt, agents: item.receiverThreadIds };
    case "webSearch":
      return { query: item.query };
    default:
      return item.arguments ?? item;
  }
}

/** What ends a tool's card. */
export function outputOf(toolCallId: string, item: Item): UIMessageChunk {
  if (item.status === "declined") return { type: "tool-output-denied", toolCallId };
  const base = { type: "tool-output-available", toolCallId, providerExecuted: true, dynamic: true } as const;
  switch (item.type) {
    case "commandExecution": {
      const { exitCode, durationMs, aggregatedOutput } = item;
      return { ...base, output: { exitCode, output: aggregatedOutput ?? "", durationMs } };
    }
    case "fileChange":
      if (item.status === "failed") return failed(toolCallId, "The patch could not be applied.");
      return { ...base, output: changesOf(item).map(({ kind, path }) => `${kind} ${path}`) };
    case "collabAgentToolCall":
      if (item.status === "failed") return failed(toolCallId, "The sub-agent failed.");
      return { ...base, output: item.agentsStates };
    default:
      if (item.status === "failed") return failed(toolCallId, messageIn(item.error) ?? "The tool failed.");
      return { ...base, output: item.result ?? item.contentItems ?? item.action ?? null };
  }
}

export function changesOf(item: Item): { path: string; kind: string; diff: string }[] {
  const changes = Array.isArray(item.changes) ? (item.changes as Change[]) : [];
  return changes.map(({ path = "", diff = "", kind }) => {
    const type = kind?.type ?? "update";
    // For a new and for a removed file, Codex says its content; for all others, a diff.
    if (type === "add") return { path, kind: type, diff: lineDiff(path, undefined, diff) };
    if (type === "delete") return { path, kind: type, diff: lineDiff(path, diff, "") };
    return { path: kind?.move_path ?? path, kind: type, diff };
  });
}

/** One file can be named in the card's title. */
function pathOf(item: Item): { path?: string } {
  const [first, ...more] = changesOf(item);
  return first && more.length === 0 ? { path: first.path } : {};
}

function failed(toolCallId: string, errorText: string): UIMessageChunk {
  return { type: "tool-output-error", toolCallId, errorText, providerExecuted: true, dynamic: true };
}

function messageIn(error: unknown): string | undefined {
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message : undefined;
}
