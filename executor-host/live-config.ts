/** `config_update`: what may change while sessions are live. What is not understood is logged and left alone. */
import { z } from "zod";
import { settingsSchema } from "./config.ts";
import type { Logger } from "./logs.ts";

export const liveConfigSchema = z
  .object({
    logLevel: settingsSchema.shape.logLevel,
    slots: settingsSchema.shape.slots,
    /** For workers that are started from now on. */
    limits: settingsSchema.shape.limits.partial(),
    image: settingsSchema.shape.image,
    /** No setting but news: what was delivered may not be what counts any more. */
    credentials: z.literal("changed"),
  })
  .partial();
export type LiveConfig = z.infer<typeof liveConfigSchema>;

/** Each known setting on its own: one that is wrong does not keep the others from being applied. */
export function readLiveConfig(update: Record<string, unknown>, logger: Logger): LiveConfig {
  const config: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(update)) {
    const schema = liveConfigSchema.shape[name as keyof typeof liveConfigSchema.shape];
    const parsed = schema?.safeParse(value);
    if (parsed?.success) config[name] = parsed.data;
    else logger.warn({ setting: name, known: schema !== undefined }, "a setting was not applied");
  }
  return config as LiveConfig;
}
