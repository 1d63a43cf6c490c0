/**
 * Credentials on their way: from a person to the record, and from the record to the host of a session's worker.
 *
 *   person ── value, once ──► worker: sealed in D1 ── JWE to the host's key ──► host: opened in memory ──► egress proxy
 */
import { z } from "zod";
import { appIdSchema, credentialIdSchema, hostIdSchema, sessionIdSchema } from "./ids.ts";
import { CREDENTIAL_KINDS, NETWORK_MODES } from "./vocabulary.ts";

/** RFC 9110 §5.5: what is not visible ASCII cannot be in a header. */
const value = z
  .string()
  .trim()
  .min(8, "at least 8 characters")
  .max(8_192)
  .regex(/^[\x21-\x7e]+(?: [\x21-\x7e]+)*$/, "visible ASCII characters");
const url = z
  .url({ protocol: /^https?$/ })
  .max(500)
  .refine((text) => {
    const { username, password, search, hash } = new URL(text);
    return !(username || password || search || hash);
  }, "without user, password, query and fragment");
const common = {
  name: z.string().trim().min(1).max(100),
  value,
  /** For sessions of this app alone; left out: for every session. */
  appId: appIdSchema.optional(),
};

/** `header` is not taken yet: no proxy would add it. */
export const createCredentialBody = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("anthropic"), ...common, baseUrl: url.optional() }),
  z.object({ kind: z.literal("openai"), ...common, baseUrl: url.optional() }),
  z.object({ kind: z.literal("openai-compatible"), ...common, baseUrl: url }),
]);
export const rotateCredentialBody = z.object({ value });

/** What people see. The value is nowhere in it. */
export const credentialRecord = z
  .object({
    id: credentialIdSchema,
    kind: z.enum(CREDENTIAL_KINDS),
    name: z.string(),
    /** The last characters of the value. */
    hint: z.string(),
    appId: appIdSchema.optional(),
    baseUrl: z.string().optional(),
    header: z.string().optional(),
    createdAt: z.number(),
    rotatedAt: z.number().optional(),
    lastUsedAt: z.number().optional(),
  })
  .meta({ id: "Credential" });
export type CredentialRecord = z.infer<typeof credentialRecord>;

/* ── the host's side ───────────────────────────────────────────────────────────────────────────────────────── */

/** What credentials are sealed to: a P-256 public key, said by the host in each assertion as the claim `enc_key`. */
export const encryptionKeySchema = z.object({
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  y: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export type EncryptionKey = z.infer<typeof encryptionKeySchema>;

/** How both sides seal: ephemeral Diffie-Hellman straight to a content key (RFC 7518 §4.6, §5.3). */
export const SEAL_ALGORITHMS = { alg: "ECDH-ES", enc: "A256GCM" } as const;

/** A host asks for what one session's worker may use. Its lease is the proof; `used` tells what was used since last time. */
export const deliveryRequest = z.object({
  sessionId: sessionIdSchema,
  epoch: z.number().int().positive(),
  used: z.array(credentialIdSchema).max(100).default([]),
});

export const deliveryAnswer = z.object({
  /** The app's policy; left out for a session without app: then the host's own counts. */
  network: z.object({ mode: z.enum(NETWORK_MODES), hosts: z.array(z.string()) }).optional(),
  /** A compact JWE around [sealedDelivery]. */
  sealed: z.string(),
});

const deliveredCredential = z.object({
  id: credentialIdSchema,
  kind: z.enum(CREDENTIAL_KINDS),
  value: z.string(),
  baseUrl: z.string().optional(),
  header: z.string().optional(),
});
export type DeliveredCredential = z.infer<typeof deliveredCredential>;

/** Says for whom it was sealed, so that a delivery cannot be passed off as another. */
export const sealedDelivery = z.object({
  hostId: hostIdSchema,
  sessionId: sessionIdSchema,
  epoch: z.number().int(),
  credentials: z.array(deliveredCredential),
});

/** Which kinds the organisation has at all: a host without keys of its own is ready for them. */
export const credentialKindsAnswer = z.object({ kinds: z.array(z.enum(CREDENTIAL_KINDS)) });
