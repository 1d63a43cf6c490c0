import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { filesByGit, readSources, root } from "./source-files.ts";

const sources = readSources();
const ours = sources.filter((file) => !file.path.startsWith("test/"));
const pathsOf = (files: { path: string }[]) => files.map((file) => file.path);

const shellLines = 200;
const largeLines = 300;
/** Larger than `largeLines`, with the reason why it is better in one piece. An entry that is no longer needed fails. */
const LARGE: Record<string, string> = {
  "migrations/schema.ts": "one list of tables: drizzle compares it as a whole",
};

/** A default export is what somebody else's loader asks for. */
const DEFAULT_EXPORTS = [
  /^worker\/index\.ts$/,
  /(^|\/)[\w.-]+\.config\.(ts|mjs)$/,
  /^executor-host\/local\/control-worker\.mjs$/,
  /^test\/.*-worker\.mjs$/,
];

describe("the shape of the code", () => {
  it("is seen at all", () => {
    expect(ours.length).toBeGreaterThan(50);
  });

  it("keeps object classes thin: identify, hand over", () => {
    const shells = sources.filter((file) => /^durable\/[^/]+\/[^/]+-object\.ts$/.test(file.path));
    expect(shells.length).toBeGreaterThan(0);
    expect(shells.filter((file) => file.lines > shellLines).map((file) => `${file.path}: ${file.lines} lines`)).toEqual(
      [],
    );
  });

  it("has no large file without a reason", () => {
    const large = ours.filter((file) => file.lines > largeLines);
    expect(large.filter((file) => !LARGE[file.path]).map((file) => `${file.path}: ${file.lines} lines`)).toEqual([]);
    expect(Object.keys(LARGE).filter((path) => !pathsOf(large).includes(path))).toEqual([]);
  });

  it("has no barrel", () => {
    const barrels = sources.filter(
      (file) => file.barrel || (/(^|\/)index\.tsx?$/.test(file.path) && file.path !== "worker/index.ts"),
    );
    expect(pathsOf(barrels)).toEqual([]);
  });

  it("exports by name", () => {
    const wrong = sources.filter(
      (file) => file.defaultExport && !DEFAULT_EXPORTS.some((pattern) => pattern.test(file.path)),
    );
    expect(pathsOf(wrong)).toEqual([]);
  });

  it("sets no timer in an object: it would pin it in memory, and is lost with it", () => {
    const timers = /\b(setTimeout|setInterval|scheduler\.wait)\s*\(/;
    const wrong = sources.filter((file) => file.path.startsWith("durable/") && timers.test(file.text));
    expect(pathsOf(wrong)).toEqual([]);
  });

  it("names files by noun or verb, without the name of a layer", () => {
    const suffix =
      /-(service|manager|handler|repository|controller|helper|helpers|util|utils)\.\w+$|(^|\/)(utils?|helpers?|common|misc)\.\w+$/;
    expect(pathsOf(sources).filter((path) => suffix.test(path))).toEqual([]);
  });

  it("has its tests where a project selects them", () => {
    const tests = pathsOf(sources).filter((path) => /\.(test|spec)\.\w+$/.test(path));
    expect(tests.length).toBeGreaterThan(0);
    expect(tests.filter((path) => !/^test\/.*\.test\.tsx?$/.test(path))).toEqual([]);
  });

  it("swallows no error silently", () => {
    const bare = /catch\s*(\([^)]*\))?\s*\{\s*\}|\.catch\(\(\)\s*=>\s*\{\s*\}\)/;
    expect(pathsOf(ours.filter((file) => bare.test(file.text)))).toEqual([]);
  });

  it("mentions nobody's home directory", () => {
    // Put together here, so that this file does not mention one itself.
    const home = new RegExp(`/(${["home", "Users"].join("|")})/[a-z][\\w.-]*/|/${"root"}/`);
    const text = (filesByGit() ?? pathsOf(sources)).filter((path) =>
      /\.(ts|tsx|mjs|js|json|md|toml|yml|yaml|html|css|sh)$/.test(path),
    );
    expect(text.length).toBeGreaterThan(50);
    expect(text.filter((path) => home.test(readFileSync(join(root, path), "utf8")))).toEqual([]);
  });
});
