/** Where the toolkit keeps Codex: the native binary of the platform package, without npm's stub around it. */
import path from "node:path";

const PLATFORMS: Readonly<Record<string, { package: string; triple: string }>> = {
  x64: { package: "codex-linux-x64", triple: "x86_64-unknown-linux-musl" },
  arm64: { package: "codex-linux-arm64", triple: "aarch64-unknown-linux-musl" },
};

export function codexBinary(toolkitDir: string): string {
  const platform = PLATFORMS[process.arch] ?? { package: "codex-linux-x64", triple: "x86_64-unknown-linux-musl" };
  const folder = path.join(toolkitDir, "codex-app-server", "node_modules", "@openai", platform.package);
  return path.join(folder, "vendor", platform.triple, "bin", "codex");
}
