/** The Worker: what the platform calls. The objects' classes are re-exported here because the platform looks for them here. */
import { app } from "./app.ts";
import { type Env, requireSecrets } from "./env.ts";
import { createLogger } from "./log.ts";
import { sweepTick } from "./reconcile/scheduled.ts";
import { sweepExpired } from "./scheduled.ts";

export { FleetObject } from "../durable/fleet/fleet-object.ts";
export { SessionObject } from "../durable/session/session-object.ts";

// biome-ignore lint/style/noDefaultExport: the platform calls the default export
export default {
  fetch: app.fetch,
  async scheduled(controller, env) {
    const missing = requireSecrets(env);
    if (missing) return createLogger({ component: "worker" }).error("misconfigured", { message: missing.message });
    await sweepExpired(env, controller.scheduledTime);
    await sweepTick(env, controller.scheduledTime, createLogger({ component: "worker", cron: "reconcile" }));
  },
} satisfies ExportedHandler<Env>;
