/** An agent's call of a tool as people are shown it: a name, an input, an output with diffs and exit codes. Pure. */
import { lineDiff } from "../line-diff.ts";
import type { ToolCall } from "./wire.ts";

/** Of what is shown; an event takes less. */
const SHOWN_CHARS = 1_000_000;

/** Agents name the kind of what they do; some name the tool, too. */
const NAMES: Readonly<Record<string, string>> = { execute: "bash", fetch: "webfetch", think: "think" };

export function nameOf({ name, kind, title, _meta }: ToolCall): string {
  const named = name || _meta?.claudeCode?.toolName;
  if (named) return named.slice(0, 200);
  // A title of one word is the tool's name.
  if (title && /^\w{1,40}$/.test(title)) return title;
  return NAMES[kind ?? ""] ?? kind ?? "other";
}

export function inputOf({ rawInput, locations, title }: ToolCall): Record<string, unknown> {
  if (isRecord(rawInput) && Object.keys(rawInput).length > 0) return rawInput;
  const path = locations?.[0]?.path;
  return { ...(path === undefined ? {} : { path }), ...(title ? { title } : {}) };
}

/** The changes of files that a call shows; one is named for the card's title. */
export function diffsOf({ content, rawInput }: ToolCall): { path?: string; diff?: string; changes?: object[] } {
  // With its whole input there, the change is seen in that.
  if (isRecord(rawInput) && ("content" in rawInput || "new_string" in rawInput || "newString" in rawInput)) return {};
  const changes = changesOf(content);
  if (changes.length > 1) return { changes };
  return changes[0] ?? {};
}

/** A text, or a record where there is more to say. */
export function outputOf(call: ToolCall): string | Record<string, unknown> {
  const { content, rawOutput } = call;
  const text = (content ?? []).map((part) => textOf(part.content)).join("");
  const words = text || call.shown?.output || wordsOf(rawOutput);
  // Claude Code's agent says 1 of every command that failed, and the code itself in front of what was printed.
  const [whole = "", said] = /^Exit code (\d+)(?:\n|$)/.exec(words) ?? [];
  const output = words.slice(whole.length);
  const exitCode = said === undefined ? (exitCodeOf(rawOutput) ?? call.shown?.exitCode) : Number(said);
  const [change, ...more] = changesOf(content);
  if (exitCode !== undefined) return { exitCode, output };
  if (more.length > 0) return { output, changes: [change, ...more] };
  return change ? { output, diff: change.diff } : output;
}

/** What the call's terminal has shown with this update, too. */
export function shownWith(before: ToolCall["shown"], { _meta }: ToolCall): ToolCall["shown"] {
  const data = _meta?.terminal_output?.data ?? _meta?.terminal_output_delta?.data;
  const exitCode = _meta?.terminal_exit?.exit_code ?? undefined;
  if (data === undefined && exitCode === undefined) return before;
  return {
    ...before,
    output: ((before?.output ?? "") + (data ?? "")).slice(-SHOWN_CHARS),
    ...(exitCode === undefined ? {} : { exitCode }),
  };
}

export function textOf(content: unknown): string {
  const { text } = (content ?? {}) as { text?: unknown };
  return typeof text === "string" ? text : "";
}

export function changesOf(content: ToolCall["content"]): { path: string; diff: string }[] {
  return (content ?? []).flatMap(({ type, path = "", oldText, newText }) =>
    type === "diff" ? [{ path, diff: lineDiff(path, oldText ?? undefined, newText ?? "") }] : [],
  );
}

function exitCodeOf(raw: unknown): number | undefined {
  if (!isRecord(raw)) return undefined;
  const code = raw.exitCode ?? raw.exit_code ?? (isRecord(raw.metadata) ? raw.metadata.exit : undefined);
  return typeof code === "number" ? code : undefined;
}

function wordsOf(raw: unknown): string {
  if (raw === undefined || raw === null) return "";
  if (typeof raw === "string") return raw;
  if (isRecord(raw)) {
    const said = raw.output ?? raw.formatted_output ?? raw.stdout ?? raw.error;
    if (typeof said === "string") return said;
  }
  return JSON.stringify(raw);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
