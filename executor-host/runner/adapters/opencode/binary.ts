/** Where the toolkit keeps OpenCode, and ripgrep, which it would otherwise fetch from a host that a worker cannot reach. */
import path from "node:path";

const ARCH = process.arch === "arm64" ? "arm64" : "x64";

export function opencodeBinary(toolkitDir: string): string {
  return path.join(toolkitDir, "opencode", "node_modules", `opencode-linux-${ARCH}`, "bin", "opencode");
}

export function ripgrepFolder(toolkitDir: string): string {
  return path.join(toolkitDir, "opencode", "node_modules", "@vscode", `ripgrep-linux-${ARCH}`, "bin");
}
