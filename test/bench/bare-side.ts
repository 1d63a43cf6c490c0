/** The bare object on a workerd of its own, started as Gantry's is: same keeper, same Miniflare, same settings. */
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { build } from "../../executor-host/local/build.ts";
import { startControlPlane } from "../../executor-host/local/control-plane.ts";
import { parseWorkerConfig } from "../../executor-host/local/worker-config.ts";
import type { BenchSession, Side } from "./side.ts";
import { eventOf } from "./side.ts";
import { mark, Viewer } from "./viewer.ts";

const CLASS = "BareObject";

export async function startBareSide(): Promise<Side> {
  const { workerDir } = await build();
  const folder = mkdtempSync(join(tmpdir(), "gantry-bench-"));
  const built = { workerDir: join(folder, "worker"), webDir: join(folder, "web") };
  for (const dir of Object.values(built)) mkdirSync(dir);
  copyFileSync(join(import.meta.dirname, "bare-worker.mjs"), join(built.workerDir, "index.js"));
  const gantry = parseWorkerConfig(readFileSync(join(workerDir, "config.json"), "utf8"));
  const config: typeof gantry = {
    ...gantry,
    name: "bare",
    vars: {},
    durable_objects: { bindings: [{ name: "BARE", class_name: CLASS }] },
    migrations: [{ tag: "v1", new_sqlite_classes: [CLASS] }],
    d1_databases: [],
    r2_buckets: [],
    triggers: { crons: [] },
    assets: { ...gantry.assets, run_worker_first: true },
  };
  writeFileSync(join(built.workerDir, "config.json"), JSON.stringify(config));
  const plane = await startControlPlane({
    port: 0,
    stateDir: join(folder, "state"),
    secrets: {},
    built,
    log: () => undefined,
  });
  const origin = plane.url.replace(/^http/, "ws");
  let sessions = 0;

  return {
    name: "bare",
    async newSession(): Promise<BenchSession> {
      const name = `session-${++sessions}`;
      const host = new WebSocket(`${origin}/socket?session=${name}&role=host`);
      await once(host, "open");
      let sent = 0;
      const rows: number[] = [];
      return {
        get sent() {
          return sent;
        },
        send(count) {
          const events: string[] = [];
          for (let i = 0; i < count; i++) events.push(eventOf(mark(++sent)));
          rows.push(sent);
          host.send(count === 1 ? (events[0] as string) : `[${events.join(",")}]`);
        },
        join(last) {
          // A row is a frame; its number is the cursor here.
          const cursor = rows.findLastIndex((through) => through <= last) + 1;
          return Viewer.open(`${origin}/socket?session=${name}&role=viewer&cursor=${cursor}`, {
            last,
            acknowledges: false,
          });
        },
        evict: () => plane.evict(CLASS, name),
      };
    },
    async dispose() {
      await plane.dispose();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
