/** The script language (README.md) as data. Pure: text in, steps out. */
import { FAILURE_REASONS, type FailureReason, type TodoStatus } from "#protocol/vocabulary.ts";

export type Step =
  | { kind: "say"; text: string }
  | { kind: "think"; text: string }
  | { kind: "stream"; count: number; everyMs: number }
  | { kind: "write"; path: string; text: string }
  | { kind: "read"; path: string }
  | { kind: "bash"; command: string }
  | { kind: "todo"; items: { text: string; status: TodoStatus }[] }
  | { kind: "ask-permission"; title: string }
  | { kind: "ask-question"; text: string; options: string[] }
  | { kind: "sleep"; ms: number }
  | { kind: "fail"; reason: FailureReason }
  | { kind: "usage"; inputTokens: number; outputTokens: number }
  | { kind: "crash" }
  | { kind: "hang" };

/** Undefined steps are lines that the language does not know. */
export type Line = { text: string; step: Step | undefined };

type Rule = { pattern: RegExp; step: (groups: string[]) => Step | undefined };

const RULES: readonly Rule[] = [
  { pattern: /^say (.+)$/, step: ([text = ""]) => ({ kind: "say", text }) },
  { pattern: /^think (.+)$/, step: ([text = ""]) => ({ kind: "think", text }) },
  {
    pattern: /^stream (\d{1,6}) (\d{1,7})$/,
    step: ([count, everyMs]) => ({ kind: "stream", count: Number(count), everyMs: Number(everyMs) }),
  },
  { pattern: /^write (\S+)(?: (.*))?$/, step: ([path = "", text = ""]) => ({ kind: "write", path, text }) },
  { pattern: /^read (\S+)$/, step: ([path = ""]) => ({ kind: "read", path }) },
  { pattern: /^bash (.+)$/, step: ([command = ""]) => ({ kind: "bash", command }) },
  { pattern: /^todo (.+)$/, step: ([list = ""]) => todoStep(list) },
  { pattern: /^ask permission (.+)$/, step: ([title = ""]) => ({ kind: "ask-permission", title }) },
  { pattern: /^ask question (.+)$/, step: ([rest = ""]) => questionStep(rest) },
  { pattern: /^sleep (\d{1,8})$/, step: ([ms]) => ({ kind: "sleep", ms: Number(ms) }) },
  { pattern: /^fail (\w+)$/, step: ([reason]) => failStep(reason) },
  {
    pattern: /^usage (\d{1,12}) (\d{1,12})$/,
    step: ([input, output]) => ({ kind: "usage", inputTokens: Number(input), outputTokens: Number(output) }),
  },
  { pattern: /^crash$/, step: () => ({ kind: "crash" }) },
  { pattern: /^hang$/, step: () => ({ kind: "hang" }) },
];

/** The lines of a prompt; empty ones are left out. A known word with arguments that do not fit is an unknown line. */
export function parseScript(prompt: string): Line[] {
  return prompt
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((text) => ({ text, step: parseStep(text) }));
}

function parseStep(line: string): Step | undefined {
  for (const { pattern, step } of RULES) {
    const match = pattern.exec(line);
    if (match) return step(match.slice(1));
  }
  return undefined;
}

const MARKS: Readonly<Record<string, TodoStatus>> = { x: "completed", ">": "in_progress", " ": "pending" };

function todoStep(list: string): Step | undefined {
  const items = [];
  for (const entry of list.split(";")) {
    const match = /^\[([x> ])\] (.+)$/.exec(entry.trim());
    const status = match?.[1] === undefined ? undefined : MARKS[match[1]];
    if (!match?.[2] || !status) return undefined;
    items.push({ text: match[2].trim(), status });
  }
  return { kind: "todo", items };
}

function questionStep(rest: string): Step | undefined {
  const [text = "", ...options] = rest.split("|").map((part) => part.trim());
  return text === "" ? undefined : { kind: "ask-question", text, options: options.filter((option) => option !== "") };
}

function failStep(name: string | undefined): Step | undefined {
  const reason = FAILURE_REASONS.find((reason) => reason === name);
  return reason && { kind: "fail", reason };
}
