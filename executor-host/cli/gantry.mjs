#!/usr/bin/env node
/**
 * The way in. Runs under any Node and hands over to one that runs TypeScript (24 or newer): the running one, else the
 * one that `npm install` put beside it.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const program = join(here, "gantry.ts");

if (Number(process.versions.node.split(".")[0]) >= 24) {
  // What was compiled once is kept in the system's folder for temporary files: a command starts in half the time.
  module.enableCompileCache();
  const { main } = await import(pathToFileURL(program).href);
  await main(process.argv.slice(2));
} else {
  const pinned = join(here, "..", "..", "node_modules", ".bin", "node");
  if (!existsSync(pinned)) {
    console.error(
      `gantry needs Node 24 or newer; this is ${process.versions.node}. Run "npm install" in ${join(here, "..", "..")} (it brings one along), or install Node 24.`,
    );
    process.exit(1);
  }
  const child = spawn(pinned, [join(here, "gantry.mjs"), ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    console.error(`gantry: ${pinned} cannot be run: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)));
}
