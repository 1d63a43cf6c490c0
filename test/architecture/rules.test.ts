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

function readText(path: string): string {
  const file = join(root, path);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function numbersIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].flatMap(([, number]) => number ?? []);
}
