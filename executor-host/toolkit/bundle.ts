/** The runner and everything it needs as one file, so that it runs in an image that has nothing. */
import path from "node:path";
import { build } from "esbuild";

const ROOT = path.resolve(import.meta.dirname, "../..");
const ENTRY = path.join(ROOT, "executor-host/runner/main.ts");

/** Writes the bundle to `outfile`. @throws esbuild's BuildFailure */
export async function bundleRunner(outfile: string): Promise<void> {
  await build({
    entryPoints: [ENTRY],
    outfile,
    absWorkingDir: ROOT,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    minifySyntax: true,
    legalComments: "none",
    logLevel: "silent",
    // CommonJS packages inside an ES module still ask for `require` of Node's own modules.
    banner: {
      js: 'import { createRequire as gantryCreateRequire } from "node:module"; const require = gantryCreateRequire(import.meta.url);',
    },
  });
}
