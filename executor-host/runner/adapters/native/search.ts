/**
 * Searching the workspace: names by a pattern of a path, lines by a regular expression. Lines are found by grep in a program
 * of its own, because an expression that never ends would stop the runner.
 */
import { glob, stat } from "node:fs/promises";
import path from "node:path";
import type { AdapterContext } from "../adapter.ts";
import { existingPath } from "../workspace-path.ts";
import { runCommand } from "./shell.ts";

const MAX_NAMES = 500;
const TIMEOUT_MS = 30_000;
/** Folders that are never what is looked for. */
const SKIPPED = [".git", "node_modules", ".gantry"] as const;

export type Search = { pattern?: string; glob?: string; path?: string };

/** @throws Error in words for the agent */
export async function search(
  cwd: string,
  { pattern, glob: names, path: below = "." }: Search,
  env: Record<string, string>,
  context: Pick<AdapterContext, "spawn" | "signal" | "clock">,
): Promise<{ matches: string[]; more: boolean }> {
  const root = await existingPath(cwd, below);
  if (pattern === undefined) return findNames(root, names ?? "**/*", context.signal);
  const filters = SKIPPED.map((name) => `--exclude-dir=${name}`);
  if (names !== undefined) filters.push(`--include=${path.basename(names)}`);
  const [folder, target] = (await stat(root)).isFile() ? [path.dirname(root), path.basename(root)] : [root, "."];
  const args = ["-rnIE", ...filters, "-e", pattern, "--", target];
  const program = { program: "grep", args, cwd: folder, env, timeoutMs: TIMEOUT_MS };
  const { exitCode, output, timedOut } = await runCommand(program, context);
  if (timedOut) throw new Error("The search took too long. Say more exactly what and where.");
  if (exitCode === 1) return { matches: [], more: false };
  if (exitCode !== 0) throw new Error(output.trim() || `grep ended with code ${exitCode}.`);
  const lines = output
    .split("\n")
    .filter(Boolean)
    .map((line) => line.replace(/^\.\//, ""));
  return { matches: lines.slice(0, MAX_NAMES), more: lines.length > MAX_NAMES };
}

async function findNames(
  root: string,
  pattern: string,
  signal: AbortSignal,
): Promise<{ matches: string[]; more: boolean }> {
  const matches: string[] = [];
  const exclude = (name: string) => (SKIPPED as readonly string[]).includes(path.basename(name));
  if (pattern.split("/").includes("..") || path.isAbsolute(pattern)) throw new Error("The pattern leads outside.");
  for await (const name of glob(pattern, { cwd: root, exclude })) {
    if (signal.aborted || matches.length >= MAX_NAMES) return { matches: matches.sort(), more: true };
    matches.push(name);
  }
  return { matches: matches.sort(), more: false };
}
