import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "./source-files.ts";

/** `[P-1]`, `[P-snap-1]`, `[S-…]`, `[F-…]`: a rule at the start of a list item, and the same in the name of a test. */
const SPECS = [
  "durable/protocol/PROTOCOL.md",
  "durable/protocol/SNAPSHOT.md",
  "durable/session/SPEC.md",
  "durable/fleet/SPEC.md",
];
const DEFINITION = /^\s*[-*] \[([PSF]-(?:[a-z]+-)?\d+)\]/gm;
const MENTION = /\[([PSF]-(?:[a-z]+-)?\d+)\]/g;

const rules = SPECS.flatMap((spec) => numbersIn(readText(spec), DEFINITION).map((number) => ({ number, spec })));
const tests = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
  .map((path) => `test/${path.replaceAll("\\", "/")}`)
  .filter((path) => /\.tsx?$/.test(path) && !path.startsWith("test/architecture/"));
const carried = new Map(tests.map((path) => [path, numbersIn(readText(path), MENTION)]));

describe("numbered rules", () => {
  it.each(SPECS)("stand in %s, each number once", (spec) => {
    const numbers = rules.filter((rule) => rule.spec === spec).map((rule) => rule.number);
    expect(numbers.length).toBeGreaterThan(0);
    expect(numbers.filter((number, index) => numbers.indexOf(number) !== index)).toEqual([]);
  });

  it.each(SPECS)("stand in %s in the order of their numbers within a section, and its index says where", (spec) => {
    const text = readText(spec);
    const sections = text
      .split(/^## /m)
      .slice(1)
      .flatMap((section) => {
        const numbers = numbersIn(section, DEFINITION).map((number) => Number(number.split("-").at(-1)));
        return numbers.length > 0 ? [{ title: section.split("\n")[0] ?? "", numbers }] : [];
      });
    for (const { title, numbers } of sections) expect(numbers, title).toEqual([...numbers].sort((a, b) => a - b));
    const index = /^Where a rule stands: ([^.]*)\.$/m.exec(text)?.[1]?.replaceAll("\n", " ");
    if (index !== undefined || spec !== "durable/protocol/SNAPSHOT.md")
      expect(index).toBe(sections.map(({ title, numbers }) => `${title} ${ranges(numbers)}`).join("; "));
  });

  it("have at least one test that carries their number", () => {
    const known = new Set([...carried.values()].flat());
    expect(rules.filter((rule) => !known.has(rule.number)).map((rule) => `[${rule.number}] ${rule.spec}`)).toEqual([]);
  });

  it("are the only ones that tests name", () => {
    const known = new Set(rules.map((rule) => rule.number));
    const unknown = [...carried].flatMap(([path, numbers]) =>
      numbers.filter((number) => !known.has(number)).map((number) => `[${number}] in ${path}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** 1, 2, 3, 5 as "1–3, 5". */
function ranges(numbers: readonly number[]): string {
  const runs: number[][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last && last.at(-1) === number - 1) last.push(number);
    else runs.push([number]);
  }
  return runs.map((run) => (run.length > 2 ? `${run[0]}–${run.at(-1)}` : run.join(", "))).join(", ");
}

function readText(path: string): string {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function numbersIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].flatMap(([, number]) => number ?? []);
}
