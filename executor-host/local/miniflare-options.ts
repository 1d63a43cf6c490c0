/** The two Workers of one machine: Gantry's own, and the operator's door beside it (control-worker.mjs). */
import type { MiniflareOptions } from "miniflare";
import type { WorkerConfig } from "./worker-config.ts";

type WorkerOptions = MiniflareOptions["workers"][number];
type Bindings = NonNullable<WorkerOptions["config"]["env"]>;

export type MiniflareInput = {
  config: WorkerConfig;
  /** Source text of the built Worker and of the door. */
  scripts: { worker: string; control: string };
  /** Absolute folder of the built portal. */
  assetsDir: string;
  /** Everything the Worker gets as text: secrets and variables, over those of wrangler.toml. */
  texts: Record<string, string>;
  controlToken: string;
};

const CONTROL = "control";

/**
 * The names under which workerd knows the listening sockets, in the order of the workers. Both bypass Miniflare's own
 * entry Worker: whoever reaches that one gets every binding and secret at /cdn-cgi/local/platform-proxy, without asking.
 */
export const SOCKETS = { public: "direct:0:default", control: "direct:1:default", entry: "entry" } as const;

/** Gives Miniflare's `workers`; the addresses in it are placeholders, the sockets come from outside. */
export function workersOf(input: MiniflareInput): WorkerOptions[] {
  const dev = { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] };
  return [
    { config: gantry(input), dev },
    { config: control(input), dev },
  ];
}

function gantry({ config, scripts, assetsDir, texts }: MiniflareInput): WorkerOptions["config"] {
  const sqlite = config.migrations.flatMap((step) => step.new_sqlite_classes);
  return {
    name: config.name,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: config.compatibility_flags,
    manifest: module("index.js", scripts.worker),
    exports: Object.fromEntries(sqlite.map((name) => [name, { type: "durable-object", storage: "sqlite" } as const])),
    env: {
      ...storage(config),
      ...Object.fromEntries(config.durable_objects.bindings.map((row) => [row.name, objectOf(config, row.class_name)])),
      ...Object.fromEntries(Object.entries({ ...config.vars, ...texts }).map(([name, value]) => [name, text(value)])),
      [config.assets.binding]: { type: "assets" },
    },
    assets: {
      directory: assetsDir,
      notFoundHandling: config.assets.not_found_handling,
      runWorkerFirst: config.assets.run_worker_first,
      hasUserWorker: true,
    },
  };
}

function control({ config, scripts, controlToken }: MiniflareInput): WorkerOptions["config"] {
  return {
    name: CONTROL,
    compatibilityDate: config.compatibility_date,
    compatibilityFlags: ["unsafe_module"],
    manifest: module("control.js", scripts.control),
    env: {
      TOKEN: text(controlToken),
      WORKER: { type: "worker", worker: config.name },
      ...Object.fromEntries(
        config.d1_databases.map((row) => [`D1:${row.binding}`, { type: "d1", id: row.database_id } as const]),
      ),
      ...Object.fromEntries(
        config.durable_objects.bindings.map((row) => [`DO:${row.class_name}`, objectOf(config, row.class_name)]),
      ),
    },
  };
}

function storage(config: WorkerConfig): Bindings {
  return {
    ...Object.fromEntries(
      config.d1_databases.map((row) => [row.binding, { type: "d1", id: row.database_id } as const]),
    ),
    ...Object.fromEntries(
      config.r2_buckets.map((row) => [row.binding, { type: "r2", name: row.bucket_name } as const]),
    ),
  };
}

function module(name: string, contents: string) {
  return { mainModule: name, modules: { [name]: { type: "esm" as const, contents } } };
}

function objectOf(config: WorkerConfig, className: string) {
  return { type: "durable-object" as const, worker: config.name, exportName: className };
}

function text(value: string) {
  return { type: "text" as const, value };
}
