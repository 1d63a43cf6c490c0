/** A text's difference, read back: applying it to the old text gives the new one, whatever the two are. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Hunk } from "#protocol/changes.ts";
import { textDiff } from "../../worker/store/line-diff.ts";

/** What `patch` would do. Every line of context has to be there. */
function apply(before: string, hunks: readonly Hunk[]): string {
  const lines = before === "" ? [] : before.split(/(?<=\n)/);
  const out: string[] = [];
  let at = 0;
  for (const { oldStart, oldLines, newStart, newLines, lines: body } of hunks) {
    const start = oldLines === 0 ? oldStart : oldStart - 1;
    while (at < start) out.push(lines[at++]!);
    expect(out.length).toBe(newLines === 0 ? newStart : newStart - 1);
    const counts = { old: 0, new: 0 };
    body.forEach((line, index) => {
      if (line.startsWith("\\")) return;
      const text = line.slice(1) + (body[index + 1]?.startsWith("\\") ? "" : "\n");
      if (line[0] !== "+") {
        expect(lines[at]).toBe(text);
        at++;
        counts.old++;
      }
      if (line[0] !== "-") {
        out.push(text);
        counts.new++;
      }
    });
    expect(counts).toEqual({ old: oldLines, new: newLines });
  }
  return [...out, ...lines.slice(at)].join("");
}

const someText = fc
  .tuple(fc.array(fc.constantFrom("a", "b", "c", "", "\r", "long line"), { maxLength: 40 }), fc.boolean())
  .map(([lines, ended]) => lines.join("\n") + (ended && lines.length > 0 ? "\n" : ""));

describe("the difference of two texts", () => {
  test("is the way from one to the other", () => {
    fc.assert(
      fc.property(someText, someText, (before, after) => {
        const diff = textDiff(before, after);
        expect(diff.coarse).toBe(false);
        expect(apply(before, diff.hunks)).toBe(after);
        const signs = diff.hunks.flatMap(({ lines }) => lines.map((line) => line[0]));
        expect(signs.filter((sign) => sign === "+")).toHaveLength(diff.added);
        expect(signs.filter((sign) => sign === "-")).toHaveLength(diff.removed);
      }),
      { numRuns: 500 },
    );
  });

  test("is the shortest one", () => {
    const longest = (a: string[], b: string[]): number => {
      const row = new Array<number>(b.length + 1).fill(0);
      for (const x of a) {
        let corner = 0;
        for (let j = 1; j <= b.length; j++) {
          const above = row[j]!;
          row[j] = x === b[j - 1] ? corner + 1 : Math.max(above, row[j - 1]!);
          corner = above;
        }
      }
      return row[b.length]!;
    };
    const lines = fc.array(fc.constantFrom("x", "y", "z"), { maxLength: 25 });
    fc.assert(
      fc.property(lines, lines, (a, b) => {
        const text = (list: string[]) => list.map((line) => `${line}\n`).join("");
        const { added, removed } = textDiff(text(a), text(b));
        expect(added + removed).toBe(a.length + b.length - 2 * longest(a, b));
      }),
    );
  });

  test("shows three lines around, and joins what is near", () => {
    const before = Array.from({ length: 40 }, (_, i) => `line ${i}\n`);
    const after = before.with(10, "ten\n").with(14, "fourteen\n").with(30, "thirty\n");
    const { hunks } = textDiff(before.join(""), after.join(""));
    expect(hunks.map(({ oldStart, oldLines, newLines }) => [oldStart, oldLines, newLines])).toEqual([
      [8, 11, 11],
      [28, 7, 7],
    ]);
  });

  test("says when a newline at the end is all there is", () => {
    expect(textDiff("a\n", "a").hunks[0]?.lines).toEqual(["-a", "+a", "\\ No newline at end of file"]);
  });

  test("gives up on the details of texts that have little in common, and stays right", () => {
    const text = (word: string) => Array.from({ length: 3_000 }, (_, i) => `${i % 7 ? word : "same"} ${i}\n`).join("");
    const diff = textDiff(text("old"), text("new"));
    expect(diff.coarse).toBe(true);
    expect(apply(text("old"), diff.hunks)).toBe(text("new"));
    const tired = textDiff("a\nb\nc\n", "b\nx\na\n", { steps: 0 });
    expect(apply("a\nb\nc\n", tired.hunks)).toBe("b\nx\na\n");
  });
});
