/**
 * Colours for code: shiki's core with its JavaScript engine (no WebAssembly to allow), grammars on demand, and colours as
 * our own CSS variables, so that a change of theme is no new highlighting.
 */
import type { HighlighterCore, LanguageRegistration } from "shiki/core";

export type Token = { content: string; color?: string; fontStyle?: number };
type Grammar = () => Promise<{ default: LanguageRegistration[] }>;

const GRAMMARS: Readonly<Record<string, Grammar>> = {
  bash: () => import("shiki/langs/bash.mjs"),
  c: () => import("shiki/langs/c.mjs"),
  cpp: () => import("shiki/langs/cpp.mjs"),
  css: () => import("shiki/langs/css.mjs"),
  diff: () => import("shiki/langs/diff.mjs"),
  dockerfile: () => import("shiki/langs/docker.mjs"),
  go: () => import("shiki/langs/go.mjs"),
  html: () => import("shiki/langs/html.mjs"),
  java: () => import("shiki/langs/java.mjs"),
  json: () => import("shiki/langs/json.mjs"),
  markdown: () => import("shiki/langs/markdown.mjs"),
  python: () => import("shiki/langs/python.mjs"),
  rust: () => import("shiki/langs/rust.mjs"),
  sql: () => import("shiki/langs/sql.mjs"),
  toml: () => import("shiki/langs/toml.mjs"),
  tsx: () => import("shiki/langs/tsx.mjs"),
  yaml: () => import("shiki/langs/yaml.mjs"),
};

const NAMES: Readonly<Record<string, string>> = {
  sh: "bash",
  shell: "bash",
  zsh: "bash",
  console: "bash",
  h: "c",
  cc: "cpp",
  hpp: "cpp",
  "c++": "cpp",
  scss: "css",
  patch: "diff",
  docker: "dockerfile",
  htm: "html",
  svg: "html",
  xml: "html",
  vue: "html",
  jsonc: "json",
  json5: "json",
  jsonl: "json",
  md: "markdown",
  mdx: "markdown",
  py: "python",
  rs: "rust",
  ts: "tsx",
  js: "tsx",
  jsx: "tsx",
  mjs: "tsx",
  cjs: "tsx",
  mts: "tsx",
  javascript: "tsx",
  typescript: "tsx",
  yml: "yaml",
};

/** Above this much the colouring would be felt. */
const MOST_CHARS = 200_000;

/** A grammar's name for a fence's language or a file's name; undefined: plain text. */
export function grammarFor(name: string): string | undefined {
  const last = name.toLowerCase().split("/").at(-1) ?? "";
  const word = last.includes(".") ? (last.split(".").at(-1) ?? "") : last;
  const grammar = NAMES[word] ?? word;
  return grammar in GRAMMARS ? grammar : undefined;
}

let engine: Promise<HighlighterCore> | undefined;
async function highlighter(): Promise<HighlighterCore> {
  engine ??= Promise.all([import("shiki/core"), import("shiki/engine/javascript")]).then(([core, js]) =>
    core.createHighlighterCore({
      engine: js.createJavaScriptRegexEngine({ forgiving: true }),
      themes: [core.createCssVariablesTheme({ name: "gantry", variablePrefix: "--shiki-" })],
      langs: [],
    }),
  );
  return engine;
}

/** The code line by line; `undefined` when it is better left plain. */
export async function highlight(code: string, name: string): Promise<Token[][] | undefined> {
  const grammar = grammarFor(name);
  const load = grammar && GRAMMARS[grammar];
  if (!grammar || !load || code.length > MOST_CHARS) return undefined;
  const shiki = await highlighter();
  if (!shiki.getLoadedLanguages().includes(grammar)) await shiki.loadLanguage((await load()).default);
  return shiki.codeToTokensBase(code, { lang: grammar, theme: "gantry" });
}
