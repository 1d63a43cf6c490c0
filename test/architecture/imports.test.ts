import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { EXCEPTIONS, layerOf, refusal } from "./layers.ts";
import { filesByGit, isSource, readSources, root } from "./source-files.ts";

/** Far fewer than there are: below it, something is wrong with the looking. */
const fewest = 60;

const sources = readSources();
const paths = new Set(sources.map((file) => file.path));

describe("what was looked at", () => {
  it("is every source file that git knows", () => {
    expect(sources.length).toBeGreaterThan(fewest);
    const unseen = (filesByGit() ?? []).filter((path) => isSource(path) && !paths.has(path));
    expect(unseen).toEqual([]);
  });

  it("has a place in the architecture", () => {
    expect([...paths].filter((path) => layerOf(path) === undefined)).toEqual([]);
  });
});

describe("imports", () => {
  it("all lead somewhere", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    const declared = new Set(Object.keys({ ...dependencies, ...devDependencies }));
    const lost = sources.flatMap((file) =>
      file.imports
        .filter(
          (to) =>
            to.kind === "unresolved" || (to.kind === "package" && !to.target.includes(":") && !declared.has(to.target)),
        )
        .map((to) => `${file.path} → ${to.specifier}`),
    );
    expect(lost).toEqual([]);
  });

  it("follow the table of layers", () => {
    const used = new Set<string>();
    const refused = sources.flatMap((file) => {
      const from = layerOf(file.path);
      if (from === undefined) return [];
      return file.imports.flatMap((to) => {
        if (to.kind === "unresolved" || !isCode(to)) return [];
        const exception =
          to.kind === "file" && EXCEPTIONS.find((row) => row.from === file.path && row.to === to.target);
        if (exception) {
          used.add(`${exception.from} → ${exception.to}`);
          return [];
        }
        const target = to.kind === "package" ? { package: to.target } : place(to.target);
        const why = refusal(from, target, to.typeOnly);
        return why === undefined ? [] : [`${file.path} → ${to.target}: ${why}`];
      });
    });
    expect(refused).toEqual([]);
    const needless = EXCEPTIONS.filter((row) => paths.has(row.from) && !used.has(`${row.from} → ${row.to}`));
    expect(needless).toEqual([]);
  });

  it("have no cycle: who needs whom has a direction", () => {
    const next = new Map(
      sources.map((file) => {
        // A test's world and the parts of it name each other's types; of the program not even types do.
        const counts = (typeOnly: boolean) => !typeOnly || !file.path.startsWith("test/");
        const targets = file.imports.flatMap((to) => (to.kind === "file" && counts(to.typeOnly) ? [to.target] : []));
        return [file.path, targets];
      }),
    );
    expect(cyclesIn(next)).toEqual([]);
  });

  it("reach the Docker engine from one file alone", () => {
    const users = sources.filter((file) =>
      file.imports.some((to) => to.kind === "package" && to.target === "dockerode" && !to.typeOnly),
    );
    expect(users.map((file) => file.path).filter((path) => !path.startsWith("test/")).length).toBeLessThanOrEqual(1);
  });

  it("of the cores name no platform", () => {
    const globals =
      /\b(DurableObject\w*|WebSocketPair|caches|process|Buffer|fetch\(|setTimeout|setInterval|Date\.now|Math\.random)\b/;
    const cores = sources.filter((file) => layerOf(file.path) === "core");
    expect(cores.length).toBeGreaterThan(0);
    expect(cores.filter((file) => globals.test(withoutComments(file.text))).map((file) => file.path)).toEqual([]);
  });
});

/** Styles, images and JSON have no layer. */
function isCode(to: { kind: string; target?: string }): boolean {
  return to.kind === "package" || isSource(to.target ?? "");
}

function place(path: string) {
  const layer = layerOf(path);
  return layer === undefined ? { path } : { path, layer };
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, "");
}

/** Each cycle once, as `a → b → a`, by depth-first search. */
function cyclesIn(next: Map<string, string[]>): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): void => {
    const at = trail.indexOf(path);
    if (at >= 0) cycles.push([...trail.slice(at), path].join(" → "));
    if (at >= 0 || done.has(path)) return;
    for (const target of next.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of next.keys()) visit(path, []);
  return cycles;
}
