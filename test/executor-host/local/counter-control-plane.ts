/** Starts the counter Worker through the real control plane, with the real wrangler.toml. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startControlPlane } from "../../../executor-host/local/control-plane.ts";
import { inRepository } from "../../../executor-host/local/repository.ts";
import { readWorkerConfig } from "../../../executor-host/local/worker-config.ts";

export async function counterFolder() {
  const dir = mkdtempSync(join(tmpdir(), "gantry-counter-"));
  const built = { workerDir: join(dir, "worker"), webDir: join(dir, "web") };
  for (const folder of Object.values(built)) mkdirSync(folder);
  copyFileSync(join(import.meta.dirname, "counter-worker.mjs"), join(built.workerDir, "index.js"));
  const config = await readWorkerConfig(inRepository("wrangler.toml"));
  writeFileSync(join(built.workerDir, "config.json"), JSON.stringify(config));
  writeFileSync(join(built.webDir, "index.html"), "the portal");
  return { dir, built, stateDir: join(dir, "state"), remove: () => rmSync(dir, { recursive: true, force: true }) };
}

export type CounterFolder = Awaited<ReturnType<typeof counterFolder>>;

export function startCounter({ built, stateDir }: CounterFolder, port = 0) {
  return startControlPlane({ port, stateDir, built, secrets: { SIGNING_KEY: "a secret" }, log: () => {} });
}
