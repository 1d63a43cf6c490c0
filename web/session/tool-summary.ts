/** One line for a tool call: what is done to what, and how it went. Providers name the same tools differently. */
import type { ToolPart } from "#protocol/transcript.ts";
import { toolOutput } from "./tool-output.ts";

export type ToolKind = "run" | "read" | "write" | "edit" | "search" | "web" | "task" | "todo" | "ask" | "other";
export type ToolOutcome = "preparing" | "running" | "done" | "failed" | "denied";
export type ToolSummary = { kind: ToolKind; verb: string; target: string; outcome: ToolOutcome; exitCode?: number };

const KINDS: Readonly<Record<string, ToolKind>> = {
  bash: "run",
  shell: "run",
  exec: "run",
  execcommand: "run",
  commandexecution: "run",
  localshell: "run",
  read: "read",
  readfile: "read",
  view: "read",
  notebookread: "read",
  write: "write",
  writefile: "write",
  create: "write",
  edit: "edit",
  multiedit: "edit",
  notebookedit: "edit",
  applypatch: "edit",
  patch: "edit",
  filechange: "edit",
  strreplace: "edit",
  grep: "search",
  glob: "search",
  search: "search",
  ls: "search",
  list: "search",
  webfetch: "web",
  fetch: "web",
  websearch: "web",
  task: "task",
  agent: "task",
  todowrite: "todo",
  todo: "todo",
  updateplan: "todo",
  askuserquestion: "ask",
  question: "ask",
};

/** While it happens, and afterwards. */
const VERBS: Readonly<Record<ToolKind, readonly [string, string]>> = {
  run: ["Running", "Ran"],
  read: ["Reading", "Read"],
  write: ["Writing", "Wrote"],
  edit: ["Editing", "Edited"],
  search: ["Searching", "Searched"],
  web: ["Fetching", "Fetched"],
  task: ["Delegating", "Delegated"],
  todo: ["Updating", "Updated"],
  ask: ["Asking", "Asked"],
  other: ["Calling", "Called"],
};

const TARGET_FIELDS = [
  "command",
  "cmd",
  "file_path",
  "filePath",
  "path",
  "notebook_path",
  "pattern",
  "query",
  "url",
  "description",
  "title",
  "question",
] as const;

export function toolKind(toolName: string): ToolKind {
  return KINDS[toolName.toLowerCase().replace(/[^a-z]/g, "")] ?? "other";
}

export function toolSummary(part: ToolPart): ToolSummary {
  const kind = toolKind(part.toolName);
  const { exitCode } = toolOutput(part);
  const outcome = outcomeOf(part, exitCode);
  const going = outcome === "preparing" || outcome === "running";
  const verb = VERBS[kind][going ? 0 : 1];
  return { kind, verb: outcome === "denied" ? "Not allowed:" : verb, target: targetOf(part, kind), outcome, exitCode };
}

function outcomeOf(part: ToolPart, exitCode: number | undefined): ToolOutcome {
  switch (part.state) {
    case "input-streaming":
      return "preparing";
    case "input-available":
      return "running";
    case "output-denied":
      return "denied";
    case "output-error":
      return "failed";
    case "output-available":
      if (part.preliminary) return "running";
      return exitCode !== undefined && exitCode !== 0 ? "failed" : "done";
    default:
      return part.state satisfies never;
  }
}

function targetOf(part: ToolPart, kind: ToolKind): string {
  if (kind === "todo") return "the to-do list";
  const input = inputFields(part);
  for (const field of TARGET_FIELDS) {
    const value = input[field];
    if (typeof value === "string" && value.trim()) return oneLine(value);
    if (Array.isArray(value) && value.every((item) => typeof item === "string")) return oneLine(value.join(" "));
  }
  return kind === "other" ? (part.title ?? readableName(part.toolName)) : (part.title ?? "");
}

/** `mcp__github__create_issue` → "github: create issue". */
export function readableName(toolName: string): string {
  const words = (text: string): string => text.replace(/[_-]+/g, " ").trim();
  const [, server, tool] = /^mcp__(.+?)__(.+)$/.exec(toolName) ?? [];
  return server && tool ? `${words(server)}: ${words(tool)}` : words(toolName);
}

export function inputFields(part: Pick<ToolPart, "input">): Record<string, unknown> {
  return typeof part.input === "object" && part.input !== null ? (part.input as Record<string, unknown>) : {};
}

/** Paths inside the workspace read better without its name. */
function oneLine(text: string): string {
  const line = text.trim().split("\n")[0] ?? "";
  const more = text.trim().includes("\n") ? " …" : "";
  return `${line.replace(/^\/workspace\/(?=.)/, "")}${more}`;
}
