/**
 * The agent CLIs: each has its own manifest and lockfile beside this file and its own folder in the toolkit, so that
 * installing or breaking one never touches another. They are large and partly proprietary: installed on the operator's
 * machine, on demand, never shipped.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { access, chmod, constants, copyFile, mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Provider, Readiness } from "#protocol/vocabulary.ts";

/** Providers that need a CLI. */
export const CLI_PROVIDERS = ["claude-code", "codex-app-server", "opencode"] as const satisfies readonly Provider[];
/** Agents of the provider `acp`, beside what they drive. */
export const ACP_PACKAGES = ["claude-agent-acp", "codex-acp"] as const;
export const CLI_PACKAGES = [...CLI_PROVIDERS, ...ACP_PACKAGES] as const;
export type CliPackage = (typeof CLI_PACKAGES)[number];

const BINARIES: Readonly<Record<CliPackage, (arch: string) => string>> = {
  "claude-code": (arch) => `node_modules/@anthropic-ai/claude-code-linux-${arch}/claude`,
  "codex-app-server": (arch) => {
    const triple = `${arch === "arm64" ? "aarch64" : "x86_64"}-unknown-linux-musl`;
    return `node_modules/@openai/codex-linux-${arch}/vendor/${triple}/bin/codex`;
  },
  opencode: (arch) => `node_modules/opencode-linux-${arch}/bin/opencode`,
  "claude-agent-acp": () => "node_modules/@agentclientprotocol/claude-agent-acp/dist/index.js",
  "codex-acp": () => "node_modules/@agentclientprotocol/codex-acp/dist/index.js",
};

/** Workers run on Linux, whatever the host is. */
const ARCH = process.arch === "arm64" ? "arm64" : "x64";

export type InstallOptions = {
  /** The toolkit. */
  dir: string;
  providers: readonly CliPackage[];
  /** npm's words, line by line, for people. */
  onLine?: (line: string) => void;
};

/**
 * Installs exactly what the lockfiles say; what is installed already is left alone. A CLI appears whole or not at all.
 * @throws Error with npm's last words when it fails
 */
export async function installClis({ dir, providers, onLine = () => {} }: InstallOptions): Promise<void> {
  for (const provider of providers) {
    const readiness = await cliReadiness(dir, provider);
    if (readiness.readiness === "ready") onLine(`${provider} ${readiness.version} is installed.`);
    else await installCli(dir, provider, onLine);
  }
}

async function installCli(dir: string, provider: CliPackage, onLine: (line: string) => void): Promise<void> {
  const source = path.join(import.meta.dirname, provider);
  const target = path.join(dir, provider);
  const temporary = path.join(dir, `.installing-${provider}-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true, mode: 0o755 });
  try {
    for (const name of ["package.json", "package-lock.json"])
      await copyFile(path.join(source, name), path.join(temporary, name));
    await npmCi(temporary, onLine);
    await makeReadable(temporary);
    await chmod(path.join(temporary, BINARIES[provider](ARCH)), 0o755);
    const old = path.join(dir, `.old-${provider}-${process.pid}`);
    await moveAway(target, old);
    await rename(temporary, target);
    await rm(old, { recursive: true, force: true });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  onLine(`${provider} is installed.`);
}

/** For the worker's user, whatever umask npm ran under. Links are left alone: what they point to is in here, too. */
async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const target = path.join(folder, entry.name);
    if (entry.isDirectory()) await makeReadable(target);
    else if (entry.isFile()) await chmod(target, (await stat(target)).mode & 0o111 ? 0o755 : 0o644);
  }
}

/** Running workers keep the files they have opened; new ones see the new folder. */
async function moveAway(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function npmCi(cwd: string, onLine: (line: string) => void): Promise<void> {
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--os=linux", `--cpu=${ARCH}`, "--libc=glibc"];
  const npm = spawn("npm", args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const last: string[] = [];
  const ended = exit(npm);
  for (const stream of [npm.stdout, npm.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      last.push(line);
      if (last.length > 20) last.shift();
      onLine(line);
    });
  }
  const code = await ended;
  if (code !== 0) throw new Error(`npm ci failed with ${code}:\n${last.join("\n")}`);
}

function exit(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
}

export type ProviderReadiness =
  | { readiness: Extract<Readiness, "ready">; version: string }
  | { readiness: Exclude<Readiness, "ready">; reason: string };

/** The file that is run, in a toolkit. */
export function cliBinary(dir: string, provider: CliPackage): string {
  return path.join(dir, provider, BINARIES[provider](ARCH));
}

/** Whether each CLI could be started from this toolkit; if not, installing it is the way out. */
export async function toolkitReadiness(dir: string): Promise<Record<CliPackage, ProviderReadiness>> {
  const entries = await Promise.all(
    CLI_PACKAGES.map(async (provider) => [provider, await cliReadiness(dir, provider)] as const),
  );
  return Object.fromEntries(entries) as Record<CliPackage, ProviderReadiness>;
}

async function cliReadiness(dir: string, provider: CliPackage): Promise<ProviderReadiness> {
  const wanted = (await readVersion(path.join(import.meta.dirname, provider))) ?? "unknown";
  const version = await readVersion(path.join(dir, provider));
  if (version === undefined)
    return { readiness: "environment_not_ready", reason: `${provider} is not installed on this host.` };
  if (version !== wanted) {
    const reason = `${provider} ${version} is installed; this Gantry was made for ${wanted}.`;
    return { readiness: "environment_not_ready", reason };
  }
  try {
    await access(cliBinary(dir, provider), constants.X_OK);
    return { readiness: "ready", version };
  } catch {
    // Whatever keeps it from being run, installing again is the way out.
    return { readiness: "runtime_unhealthy", reason: `${provider} is there but cannot be run.` };
  }
}

/** The version in a manifest: ours carries the CLI's own. */
async function readVersion(folder: string): Promise<string | undefined> {
  try {
    return JSON.parse(await readFile(path.join(folder, "package.json"), "utf8")).version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
