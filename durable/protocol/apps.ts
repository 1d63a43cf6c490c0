/** Apps: a prepared way to work, and what their defaults mean for a run. */
import { z } from "zod";
import { providerOptionsSchema } from "./events.ts";
import { providerSchema } from "./http.ts";
import { appIdSchema, credentialIdSchema } from "./ids.ts";
import { NETWORK_MODES, VM_MODES } from "./vocabulary.ts";

/** `example.com`, `*.example.com` (names below it), with `:port` or, without, port 443. */
const destination = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?(:[0-9]{1,5})?$/, "a host name, with *. before or :port behind");
const timeoutMs = z
  .number()
  .int()
  .positive()
  .max(7 * 24 * 3_600_000);

export const runtimeDefaultsSchema = z.strictObject({
  provider: providerSchema.optional(),
  model: z.string().min(1).max(200).optional(),
  providerOptions: providerOptionsSchema.optional(),
  /** Before any other credential of its kind. */
  credentialId: credentialIdSchema.optional(),
  /** The template of: by `provider/model`, by `provider`, or for every run as `*`. */
  timeouts: z.record(z.string().min(1).max(250), timeoutMs).optional(),
  /** How long people may take to answer what its runs ask, once they were shown it. */
  humanLoopTimeoutMs: timeoutMs.optional(),
  networkPolicy: z.enum(NETWORK_MODES).default("providers"),
  /** Read when the policy is `allowlist`. */
  allowlist: z.array(destination).max(200).default([]),
});
export type RuntimeDefaults = z.output<typeof runtimeDefaultsSchema>;

export const registerAppBody = z.object({
  name: z.string().trim().min(1).max(100),
  description: z.string().trim().max(2_000).default(""),
  visibility: z.enum(["organization", "private"]).default("organization"),
  vmMode: z.enum(VM_MODES).nullable().default(null),
  runtimeDefaults: runtimeDefaultsSchema.prefault({}),
});

export const appRecord = z
  .object({
    id: appIdSchema,
    name: z.string(),
    description: z.string(),
    visibility: z.enum(["organization", "private"]),
    vmMode: z.enum(VM_MODES).optional(),
    runtimeDefaults: runtimeDefaultsSchema,
    createdAt: z.number(),
    updatedAt: z.number(),
    /** Whether the caller may start runs with it. */
    canUse: z.boolean(),
  })
  .meta({ id: "App" });
