/**
 * What operators set for all hosts of a pool, live. A setting that is not set here is the host's own to choose.
 * `config_update` carries all of them, as a change: one that is not set is `null`.
 */
import { z } from "zod";

const MiB = 1024 * 1024;
const GiB = 1024 * MiB;

export const poolLimits = z.strictObject({
  memoryBytes: z
    .number()
    .int()
    .min(128 * MiB)
    .max(1024 * GiB)
    .optional(),
  cpus: z.number().min(0.1).max(1_024).optional(),
  pids: z.number().int().min(16).max(1_000_000).optional(),
  tmpBytes: z
    .number()
    .int()
    .min(16 * MiB)
    .max(1024 * GiB)
    .optional(),
  workspaceBytes: z
    .number()
    .int()
    .min(16 * MiB)
    .max(16 * 1024 * GiB)
    .optional(),
});

export const poolSettings = z
  .strictObject({
    logLevel: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).optional(),
    /** Session workers at once, on each host. */
    slots: z.number().int().min(1).max(1_000).optional(),
    /** For workers that are started from now on. */
    limits: poolLimits.optional(),
    /** A worker without work is saved and stopped after this time; the session stops it after 15 minutes in any case. */
    idleStopMs: z
      .number()
      .int()
      .min(10_000)
      .max(15 * 60_000)
      .optional(),
  })
  .meta({ id: "PoolSettings" });
export type PoolSettings = z.infer<typeof poolSettings>;

/** A change: what is left out stays, `null` goes back to the host's own. */
export const poolSettingsPatch = z.strictObject({
  logLevel: poolSettings.shape.logLevel.nullable(),
  slots: poolSettings.shape.slots.nullable(),
  limits: poolLimits.nullish(),
  idleStopMs: poolSettings.shape.idleStopMs.nullable(),
});
export type PoolSettingsPatch = z.infer<typeof poolSettingsPatch>;

/** `version` grows with each change; 0 says that nothing was ever set. */
export type VersionedSettings = { version: number; settings: PoolSettings };

export function applyPatch(settings: PoolSettings, patch: PoolSettingsPatch): PoolSettings {
  const changed = { ...settings, ...patch };
  return Object.fromEntries(
    Object.entries(changed).filter(([, value]) => value !== null && value !== undefined),
  ) as PoolSettings;
}
