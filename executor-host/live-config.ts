/**
 * `config_update`: what may change while sessions are live. What it does not name stays; `null` goes back to what the
 * operator of this host has set. What is not understood is logged and left alone.
 */
import { z } from "zod";
import { applyPatch, type PoolSettings, poolSettingsPatch } from "#protocol/pool-settings.ts";
import type { Settings } from "./config.ts";
import type { Logger } from "./logs.ts";

const liveConfigSchema = poolSettingsPatch.extend({
  /** No setting but news: what was delivered may not be what counts any more. */
  credentials: z.literal("changed").optional(),
});
type LiveConfig = z.infer<typeof liveConfigSchema>;

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

/** The settings in force: the host's own, and over them what its pool has set. */
export class LiveSettings {
  /** Changed in place: others hold on to it. */
  readonly current: Settings;
  readonly #own: Settings;
  #pool: PoolSettings = {};

  constructor(own: Settings) {
    this.#own = structuredClone(own);
    this.current = structuredClone(own);
  }

  change({ credentials: _news, ...patch }: LiveConfig): void {
    this.#pool = applyPatch(this.#pool, patch);
    const { limits, idleStopMs = this.#own.idleStopMs, ...plain } = this.#pool;
    Object.assign(this.current, this.#own, plain, { idleStopMs, limits: { ...this.#own.limits, ...limits } });
  }
}
