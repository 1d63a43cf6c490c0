/**
 * Every source file of the repository with its imports, from a real parser. Found twice, by walking and by git, so that a
 * check can never pass because it looked at too little.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, relative } from "node:path";
import { parseSync } from "vite";

export const root = join(import.meta.dirname, "..", "..");

/** `typeOnly`: erased before anything runs. `target`: a file of ours, relative to the root, or a package's name. */
export type Import = { specifier: string; typeOnly: boolean } & (
  | { kind: "file"; target: string }
  | { kind: "package"; target: string }
  | { kind: "unresolved" }
);
export type SourceFile = {
  /** Relative to the root, with forward slashes. */
  path: string;
  text: string;
  lines: number;
  imports: Import[];
  defaultExport: boolean;
  /** Nothing but `export … from`. */
  barrel: boolean;
};

const SOURCE = /\.(ts|tsx|mjs|mts|js|cjs)$/;
/** Made by tools, or not ours. */
const LEFT_OUT = new Set(["node_modules", "dist", "coverage", "out"]);

/** All files that git would commit, tracked or new, without those that were just deleted. Undefined outside of a checkout. */
export function filesByGit(): string[] | undefined {
  if (!existsSync(join(root, ".git"))) return undefined;
  const list = (...args: string[]) =>
    execFileSync("git", ["ls-files", "-z", ...args], { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 })
      .split("\0")
      .filter((path) => path !== "");
  const deleted = new Set(list("--deleted"));
  return list("--cached", "--others", "--exclude-standard").filter((path) => !deleted.has(path));
}

export function isSource(path: string): boolean {
  return SOURCE.test(path);
}

/** Reads and parses everything. Throws on a file that does not parse. */
export function readSources(): SourceFile[] {
  return walk(root).map(readSource);
}

function walk(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return LEFT_OUT.has(entry.name) || entry.name.startsWith(".") ? [] : walk(path);
    return entry.isFile() && isSource(entry.name) ? [relative(root, path).replaceAll("\\", "/")] : [];
  });
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const { module, program, errors } = parseSync(path, text);
  if (errors.length > 0) throw new Error(`${path}: ${errors[0]?.message}`);
  const found: { specifier: string; typeOnly: boolean }[] = [];
  for (const { moduleRequest, entries } of module.staticImports) {
    found.push({
      specifier: moduleRequest.value,
      typeOnly: entries.length > 0 && entries.every((entry) => entry.isType),
    });
  }
  for (const { entries } of module.staticExports) {
    for (const { moduleRequest, isType } of entries) {
      if (moduleRequest !== null) found.push({ specifier: moduleRequest.value, typeOnly: isType });
    }
  }
  for (const { moduleRequest } of module.dynamicImports) {
    const literal = /^["'`]([^"'`$]+)["'`]$/.exec(text.slice(moduleRequest.start, moduleRequest.end));
    if (literal?.[1] !== undefined) found.push({ specifier: literal[1], typeOnly: false });
  }
  for (const specifier of importedTypes(program)) found.push({ specifier, typeOnly: true });
  const exportsOf = module.staticExports.flatMap((statement) => statement.entries);
  return {
    path,
    text,
    lines: text.split("\n").length - 1,
    imports: found.map(({ specifier, typeOnly }) => ({ specifier, typeOnly, ...resolve(path, specifier) })),
    defaultExport: exportsOf.some((entry) => entry.exportName.kind === "Default"),
    barrel:
      program.body.length > 0 &&
      program.body.every((node) => /^Export/.test(node.type) && "source" in node && node.source !== null),
  };
}

/** `import("x").T` in a type: the parser's module record does not list it. */
function importedTypes(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  if (Array.isArray(node)) return node.flatMap(importedTypes);
  const own = "type" in node && node.type === "TSImportType" ? specifierOf(node) : [];
  return [...own, ...Object.values(node).flatMap(importedTypes)];
}

function specifierOf(node: object): string[] {
  const source = "source" in node ? node.source : "argument" in node ? node.argument : undefined;
  if (typeof source !== "object" || source === null) return [];
  if ("value" in source && typeof source.value === "string") return [source.value];
  return "literal" in source &&
    typeof source.literal === "object" &&
    source.literal !== null &&
    "value" in source.literal
    ? [String(source.literal.value)]
    : [];
}

function resolve(from: string, specifier: string) {
  const bare = specifier.replace(/\?.*$/, "");
  if (bare.startsWith(".")) return fileAt(join(dirname(from), bare));
  if (bare.startsWith("#protocol/")) return fileAt(`durable/protocol/${bare.slice("#protocol/".length)}`);
  if (/^(node|cloudflare|workerd):/.test(bare)) return { kind: "package" as const, target: bare };
  if (builtinModules.includes(bare)) return { kind: "package" as const, target: `node:${bare}` };
  const name = bare
    .split("/")
    .slice(0, bare.startsWith("@") ? 2 : 1)
    .join("/");
  return { kind: "package" as const, target: name };
}

/** Extensions may be left out where a bundler reads (the portal). */
function fileAt(path: string) {
  const target = ["", ".ts", ".tsx", ".mjs"]
    .map((ending) => path + ending)
    .find((candidate) => /\.\w+$/.test(candidate) && existsSync(join(root, candidate)));
  return target === undefined
    ? { kind: "unresolved" as const }
    : { kind: "file" as const, target: target.replaceAll("\\", "/") };
}
