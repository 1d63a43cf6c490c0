/**
 * Builds what is stale into dist/: the Worker's bundle with its configuration, and the portal. Stale means: the hash over
 * the inputs' content is not the one that was written after the last build.
 *
 * The bundle has to behave as wrangler's own would: same conditions, same defines, names kept, node:* from the runtime.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, relative } from "node:path";
import { build as esbuild, type Plugin } from "esbuild";
import { withLock } from "./lock-file.ts";
import { inRepository, repositoryDir } from "./repository.ts";
import { readWorkerConfig } from "./worker-config.ts";

export type BuildOptions = {
  /** Folder for the results; by default dist/ of the checkout. */
  outDir?: string;
  /** Told in words what is built. */
  log?: (message: string) => void;
};
export type Built = { workerDir: string; webDir: string };

const lockWaitMs = 180_000;

type Part = { name: string; inputs: string[]; result: string; make: (outDir: string) => Promise<void> };
const common = ["package-lock.json", "executor-host/local/build.ts"];
const parts: Part[] = [
  {
    name: "the Worker",
    inputs: [
      ...common,
      "executor-host/local/worker-config.ts",
      "wrangler.toml",
      "worker",
      "durable",
      "migrations/schema.ts",
    ],
    result: "worker/index.js",
    make: buildWorker,
  },
  {
    name: "the portal",
    inputs: [...common, "web", "durable/protocol"],
    result: "web/index.html",
    make: buildPortal,
  },
];

/** Builds what is stale. Safe to call from several processes at once. Rejects with the builder's words. */
export async function build({ outDir = inRepository("dist"), log = () => {} }: BuildOptions = {}): Promise<Built> {
  mkdirSync(outDir, { recursive: true });
  await withLock(join(outDir, ".lock"), lockWaitMs, async () => {
    for (const part of parts) {
      const stampFile = join(outDir, `.stamp-${part.name.split(" ").at(-1)?.toLowerCase()}`);
      const stamp = hashOf(part.inputs);
      if (existsSync(join(outDir, part.result)) && existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp)
        continue;
      log(`Building ${part.name} …`);
      rmSync(stampFile, { force: true });
      await part.make(outDir);
      writeFileSync(stampFile, stamp);
    }
  });
  return { workerDir: join(outDir, "worker"), webDir: join(outDir, "web") };
}

async function buildWorker(outDir: string): Promise<void> {
  const config = await readWorkerConfig(inRepository("wrangler.toml"));
  await esbuild({
    entryPoints: [config.main],
    outfile: join(outDir, "worker", "index.js"),
    absWorkingDir: repositoryDir,
    tsconfigRaw: {},
    bundle: true,
    format: "esm",
    target: "es2024",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    external: ["cloudflare:*", "node:*"],
    loader: { ".sql": "text", ".txt": "text", ".html": "text" },
    define: { "process.env.NODE_ENV": '"production"', "navigator.userAgent": '"Cloudflare-Workers"' },
    plugins: [nodePrefix],
    sourcemap: true,
    keepNames: true,
    logLevel: "silent",
  });
  writeFileSync(join(outDir, "worker", "config.json"), JSON.stringify(config, null, 1));
}

/** Packages that say `events` where they mean `node:events`; wrangler maps them under nodejs_compat, too. */
const nodePrefix: Plugin = {
  name: "node-prefix",
  setup(onto) {
    const names = builtinModules.filter((name) => !name.startsWith("_") && !name.startsWith("node:"));
    onto.onResolve({ filter: new RegExp(`^(${names.join("|")})$`) }, ({ path }) => ({
      path: `node:${path}`,
      external: true,
    }));
  },
};

/** Vite in a process of its own: it leaves memory and handles behind that a supervisor should not carry for days. */
async function buildPortal(outDir: string): Promise<void> {
  const vite = inRepository("node_modules", "vite", "bin", "vite.js");
  const args = [
    vite,
    "build",
    inRepository("web"),
    "--config",
    inRepository("web", "vite.config.ts"),
    "--outDir",
    join(outDir, "web"),
    "--emptyOutDir",
    "--logLevel",
    "warn",
  ];
  // A test's own NODE_ENV would make it React's development build.
  const env = { ...process.env, NODE_ENV: "production" };
  const child = spawn(process.execPath, args, { cwd: repositoryDir, env, stdio: ["ignore", "pipe", "pipe"] });
  const printed: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => printed.push(text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`The portal could not be built:\n${printed.join("")}`);
}

/** One hash over names and contents of files and of all files below folders. */
function hashOf(inputs: string[]): string {
  const hash = createHash("sha256").update(process.version);
  for (const input of inputs) {
    for (const file of filesAt(inRepository(input))) {
      hash.update(`\0${relative(repositoryDir, file)}\0`).update(readFileSync(file));
    }
  }
  return hash.digest("hex");
}

function filesAt(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (found.isFile()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

if (import.meta.main) await build({ log: (message) => console.error(message) });
