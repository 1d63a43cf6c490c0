/**
 * Where the toolkit keeps Claude Code. The native binary of the platform package is used directly: the stub that npm
 * links needs an install script, which we do not run.
 */
import path from "node:path";

const PACKAGES: Readonly<Record<string, string>> = {
  "linux-x64": "@anthropic-ai/claude-code-linux-x64",
  "linux-arm64": "@anthropic-ai/claude-code-linux-arm64",
};

export function claudeBinary(toolkitDir: string): string {
  const name = PACKAGES[`${process.platform}-${process.arch}`] ?? "@anthropic-ai/claude-code-linux-x64";
  return path.join(toolkitDir, "claude-code", "node_modules", name, "claude");
}
