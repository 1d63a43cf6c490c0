/** Bugs that a kill brings to light, planted: `workspace-killed` notices each. */
import { expect, test } from "vitest";
import { Random } from "../fuzz/random.ts";
import { callsOf, killed } from "./workspace-killed.ts";

/** A module that has the engine's `file` loaded with `from` changed `to`, in each thread. */
function plant(file: string, from: string, to: string): string {
  const source = `
    import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) {
      const loaded = next(url, context);
      if (!url.endsWith(${JSON.stringify(`/executor-host/workspace/${file}`)})) return loaded;
      const source = String(loaded.source);
      if (!source.includes(${JSON.stringify(from)})) throw new Error("there is nothing to plant it in");
      return { ...loaded, source: source.replace(${JSON.stringify(from)}, () => ${JSON.stringify(to)}) };
    } });`;
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
/** In the middle of the first few writes. */
const torn = (calls: readonly string[]) =>
  callsOf("writeSync")(calls)
    .slice(0, 8)
    .filter((_, i) => i % 2 === 1);

test.each([
  [
    "a file is trusted by its name when a restore goes on",
    plant("staging-tree.ts", "stats.size === file.size && hashFile(path) === file.hash", "true"),
    ["write-all", torn, "the next try: lacks"],
  ],
  [
    "the old tree moves away before the journal is written",
    plant(
      "restore-swap.ts",
      'step("journal");',
      'step("journal"); if (isThere(place.root)) renameSync(place.root, replacedOf(place.root));',
    ),
    ["write-all", (calls) => callsOf("renameSync")(calls).slice(-4), "nothing says why"],
  ],
  [
    "the old tree stays beside the new one",
    plant("restore-swap.ts", 'step("remove-old");\n  removeTree(replacedOf(root));', 'step("remove-old");'),
    ["write-all", () => [1], "left .workspace.replaced"],
  ],
  [
    "a sync notes its snapshot before it is in the store",
    plant(
      "sync.ts",
      "if (built.changed) bytesSent",
      "makeCurrent(input.stateDir, built.snapshotId); if (built.changed) bytesSent",
    ),
    ["sync", callsOf("unlinkSync"), "what was saved: lacks"],
  ],
] satisfies [string, string, [Parameters<typeof killed>[0], Parameters<typeof killed>[2], string]][])(
  "%s",
  { timeout: 90_000 },
  async (_, planted, [kind, points, says]) => {
    const { violations } = await killed(kind, new Random("planted"), points, planted);
    expect(violations.join("\n")).toContain(says);
  },
);
