/**
 * From the one wrangler.toml to what Miniflare 5 wants. wrangler itself reads the file, so that a key means the same here
 * as in a deployment; the result is kept as JSON next to the bundle, because loading wrangler takes a second.
 *
 * What this file does not know stops the build: a binding that silently exists only in the cloud would be worse.
 */
import { z } from "zod";

const configSchema = z.object({
  name: z.string(),
  main: z.string(),
  compatibility_date: z.string(),
  compatibility_flags: z.array(z.string()),
  vars: z.record(z.string(), z.string()),
  durable_objects: z.strictObject({
    bindings: z.array(z.strictObject({ name: z.string(), class_name: z.string() })),
  }),
  migrations: z.array(z.strictObject({ tag: z.string(), new_sqlite_classes: z.array(z.string()).default([]) })),
  d1_databases: z.array(
    z.strictObject({
      binding: z.string(),
      database_name: z.string(),
      database_id: z.string(),
      migrations_dir: z.string(),
    }),
  ),
  r2_buckets: z.array(z.strictObject({ binding: z.string(), bucket_name: z.string() })),
  assets: z.strictObject({
    directory: z.string(),
    binding: z.string(),
    not_found_handling: z.enum(["none", "single-page-application", "404-page"]).default("none"),
    run_worker_first: z.union([z.array(z.string()), z.boolean()]).default(false),
  }),
  triggers: z.strictObject({
    crons: z.array(z.literal("* * * * *", "on one machine only `* * * * *` is fired")).default([]),
  }),
});
export type WorkerConfig = z.infer<typeof configSchema>;

/** Says something about wrangler or the deployment, nothing about how the Worker behaves. */
const WITHOUT_EFFECT = new Set(
  "configPath userConfigPath topLevelName definedEnvironments targetEnvironment send_metrics jsx_factory jsx_fragment build dev python_modules observability account_id workers_dev preview_urls keep_vars".split(
    " ",
  ),
);

/** Reads wrangler.toml. Throws when it is invalid or says something that cannot be carried over. */
export async function readWorkerConfig(wranglerToml: string): Promise<WorkerConfig> {
  const { unstable_readConfig: readConfig } = await import("wrangler");
  const config = readConfig({ config: wranglerToml }, { hideWarnings: true });
  const unknown = Object.entries(config)
    .filter(([key, value]) => !(key in configSchema.shape) && !WITHOUT_EFFECT.has(key) && !isEmpty(value))
    .map(([key]) => key);
  if (unknown.length > 0) {
    throw new Error(
      `executor-host/local/worker-config.ts does not know what to do with ${unknown.join(", ")} of ${wranglerToml}`,
    );
  }
  return configSchema.parse(config);
}

/** Takes back what `readWorkerConfig` gave, after it was JSON. */
export function parseWorkerConfig(json: string): WorkerConfig {
  return configSchema.parse(JSON.parse(json));
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof value === "object" && Object.values(value).every(isEmpty);
}
