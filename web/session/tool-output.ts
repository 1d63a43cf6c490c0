/** What a tool answered, as text and exit code, whatever shape its provider gives it. */
import type { ToolPart } from "#protocol/transcript.ts";

export type ToolOutput = { text: string; exitCode?: number };

const record = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

export function toolOutput(part: ToolPart): ToolOutput {
  const output = readOutput(part.output);
  if (part.errorText === undefined) return output;
  return { ...output, text: output.text ? `${output.text}\n${part.errorText}` : part.errorText };
}

function readOutput(output: unknown): ToolOutput {
  if (output === undefined || output === null) return { text: "" };
  if (typeof output === "string") return { text: output };
  if (Array.isArray(output)) return { text: output.map(contentText).join("\n") };
  const fields = record(output);
  if (!fields) return { text: String(output) };
  const exitCode = exitCodeOf(fields);
  const streams = [fields.stdout, fields.stderr, fields.output, fields.text, fields.content, fields.result].filter(
    (value) => value !== undefined && value !== "",
  );
  const known = streams.map((value) => (typeof value === "string" ? value : readOutput(value).text)).filter(Boolean);
  if (known.length > 0 || exitCode !== undefined) return { text: known.join("\n"), exitCode };
  return { text: JSON.stringify(output, null, 2) };
}

function contentText(item: unknown): string {
  const fields = record(item);
  if (typeof item === "string") return item;
  if (fields && typeof fields.text === "string") return fields.text;
  return JSON.stringify(item, null, 2);
}

function exitCodeOf(fields: Record<string, unknown>): number | undefined {
  for (const name of ["exitCode", "exit_code", "code", "exit"]) {
    const value = fields[name];
    if (typeof value === "number") return value;
  }
  const metadata = record(fields.metadata);
  return metadata ? exitCodeOf(metadata) : undefined;
}
