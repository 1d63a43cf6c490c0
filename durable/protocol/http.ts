/** The bodies of the HTTP API (API.md), as the worker checks them and other programs send them. */
import { z } from "zod";
import { CAPABILITIES } from "./capabilities.ts";
import {
  actorSchema,
  humanLoopReplySchema,
  labelsSchema,
  providerOptionsSchema,
  todoSchema,
  usageSchema,
} from "./events.ts";
import { requestIdSchema, runIdSchema, sessionIdSchema } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { hostFactsSchema } from "./messages.ts";
import { promptManifestSchema } from "./runtime-manifest.ts";
import {
  FAILURE_REASONS,
  HOST_STATUSES,
  HUMAN_LOOP_KINDS,
  OUTCOMES,
  PROVIDER_ALIASES,
  PROVIDERS,
  RUN_STATES,
  VM_MODES,
  WAIT_REASONS,
} from "./vocabulary.ts";

/** A provider by its name or one of its aliases. */
export const providerSchema = z.preprocess(
  (name) => (typeof name === "string" ? (PROVIDER_ALIASES[name] ?? name) : name),
  z.enum(PROVIDERS),
);

/** Every refusal of the API. */
export const errorBody = z
  .object({ ok: z.literal(false), reason: z.string(), message: z.string(), details: z.unknown().optional() })
  .meta({ id: "Error" });
export type ErrorBody = z.infer<typeof errorBody>;

export const createSessionBody = z.object({
  title: z.string().trim().min(1).max(LIMITS.titleChars).optional(),
  appId: z.string().max(100).optional(),
  projectId: z.string().max(100).optional(),
  provider: providerSchema.optional(),
  vmMode: z.enum(VM_MODES).optional(),
});
export const updateSessionBody = z.object({ title: z.string().trim().min(1).max(LIMITS.titleChars) });

export const sessionSummary = z
  .object({
    id: sessionIdSchema,
    title: z.string(),
    provider: z.enum(PROVIDERS),
    vmMode: z.enum(VM_MODES),
    createdBy: actorSchema,
    createdAt: z.number(),
    updatedAt: z.number(),
    /** What the session is doing, for the list: the active run's state, or `idle`. */
    activity: z.enum(["idle", ...RUN_STATES]),
    /** Something waits for a person. */
    needsAttention: z.boolean(),
    workerState: z.string(),
  })
  .meta({ id: "Session" });
export type SessionSummary = z.infer<typeof sessionSummary>;

const runLabels = labelsSchema.refine(
  (labels) => Object.keys(labels).length <= LIMITS.runLabels,
  `at most ${LIMITS.runLabels} labels`,
);

export const startRunBody = z.object({
  sessionId: sessionIdSchema.optional(),
  prompt: z.string().trim().min(1, "a run needs a prompt").max(LIMITS.promptBytes),
  provider: providerSchema.optional(),
  model: z.string().max(200).optional(),
  providerOptions: providerOptionsSchema.optional(),
  /** Where it runs: the labels that its host has to have. By name: an execution profile of the organisation. */
  executionProfile: z.union([z.string().max(100), z.strictObject({ labels: runLabels })]).optional(),
  /** Higher goes first in the pool's queue; above 0 is for operators. */
  priority: z.number().int().min(-LIMITS.runPriority).max(LIMITS.runPriority).optional(),
  runTimeoutMs: z.number().int().positive().optional(),
  /** What it asks expires when nobody has answered for so long, counted from when a person was shown it. Without: never. */
  humanLoopTimeoutMs: z.number().int().positive().optional(),
  onDisconnect: z.enum(["cancel", "continue"]).default("continue"),
  retryOn: z.array(z.literal("host_lost")).max(1).optional(),
  /** What the provider has to be able to do; a run that would lack it is refused. */
  requires: z.array(z.enum(CAPABILITIES)).max(CAPABILITIES.length).optional(),
  /** What the workspace has to be before the run starts. The host checks it against its disk. */
  manifest: promptManifestSchema.optional(),
});
export type StartRunBody = z.infer<typeof startRunBody>;

/** A chat's name as its client chose it, or a session id. */
export const CHAT_ID_CHARS = 200;
/** Of an AI SDK UIMessage only what a prompt is made of; the rest of the history is the session's own to know. */
const chatMessage = z.looseObject({
  id: z.string().min(1).max(100),
  role: z.enum(["system", "user", "assistant"]),
  parts: z.array(z.looseObject({ type: z.string().max(100), text: z.string().optional() })).max(10_000),
});
export type ChatMessage = z.infer<typeof chatMessage>;
/** What the AI SDK's DefaultChatTransport sends, with the settings of a run beside it (the transport's `body`). */
export const chatBody = startRunBody
  .pick({ provider: true, model: true, providerOptions: true, runTimeoutMs: true, onDisconnect: true, retryOn: true })
  .extend({
    requires: startRunBody.shape.requires,
    id: z.string().min(1).max(CHAT_ID_CHARS),
    messages: z.array(chatMessage).max(10_000).optional(),
    /** Instead of `messages`: the last one alone, as `prepareSendMessagesRequest` often sends it. */
    message: chatMessage.optional(),
    trigger: z.enum(["submit-message", "regenerate-message"]).default("submit-message"),
    /** The message that is edited or answered again. */
    messageId: z.string().min(1).max(100).optional(),
  });
export type ChatBody = z.infer<typeof chatBody>;

export const stopRunBody = z.object({ reason: z.string().max(1_000).optional() });

export const runRecord = z
  .object({
    id: runIdSchema,
    sessionId: sessionIdSchema,
    state: z.enum(RUN_STATES),
    outcome: z.enum(OUTCOMES).optional(),
    reason: z.enum(FAILURE_REASONS).optional(),
    evidence: z.string().optional(),
    detail: z.string().optional(),
    provider: z.enum(PROVIDERS),
    model: z.string().optional(),
    attempts: z.number().int(),
    /** The failed run of which an operator made this one. */
    redriveOf: z.string().optional(),
    usage: usageSchema.optional(),
    queuedAt: z.number(),
    startedAt: z.number().optional(),
    finishedAt: z.number().optional(),
  })
  .meta({ id: "Run" });
export type RunRecord = z.infer<typeof runRecord>;

/** The aggregate answer of `POST /api/runs/start`. */
export const runResult = z
  .object({
    ok: z.boolean(),
    runId: runIdSchema,
    sessionId: sessionIdSchema,
    outcome: z.enum(OUTCOMES),
    reason: z.enum(FAILURE_REASONS).optional(),
    evidence: z.string().optional(),
    text: z.string(),
    usage: usageSchema.optional(),
  })
  .meta({ id: "RunResult" });

export const queuedRun = z
  .object({
    runId: runIdSchema,
    state: z.enum(RUN_STATES),
    attempts: z.number().int(),
    position: z.number().int().optional(),
    waitingFor: z.string().optional(),
    /** After a failed attempt: the next one is not made before (milliseconds since 1970). */
    nextAttemptAt: z.number().optional(),
  })
  .meta({ id: "QueuedRun" });

/** What waits in the pools, in the order of its turn; which leases there are; what failed for good. Times in milliseconds since 1970. */
export const runQueue = z
  .object({
    entries: z.array(
      z.object({
        runId: z.string(),
        sessionId: z.string(),
        provider: z.enum(PROVIDERS),
        position: z.number().int(),
        attempts: z.number().int(),
        enqueuedAt: z.number(),
        requestedBy: z.string(),
        priority: z.number().int(),
        waitingFor: z.string().optional(),
        why: z.enum(WAIT_REASONS).optional(),
        nextAttemptAt: z.number().optional(),
      }),
    ),
    /** How many wait; how long the oldest has waited; how many wait for which reason. */
    depth: z.number().int(),
    oldestWaitMs: z.number(),
    reasons: z.partialRecord(z.enum(WAIT_REASONS), z.number().int()),
    leases: z.array(
      z.object({
        sessionId: z.string(),
        hostId: z.string(),
        epoch: z.number().int(),
        state: z.enum(["offered", "held"]),
        runId: z.string(),
        since: z.number(),
        ageMs: z.number(),
      }),
    ),
    /** The newest first. `begun`: work may have been done. `redrivenAs`: the run that was made of it. */
    deadLetters: z.array(
      z.object({
        runId: z.string(),
        sessionId: z.string(),
        provider: z.enum(PROVIDERS),
        reason: z.enum(["host_lost", "container_failed"]),
        evidence: z.string(),
        attempts: z.number().int(),
        begun: z.boolean(),
        requestedBy: z.string(),
        failedAt: z.number(),
        redrivenAs: z.string().optional(),
        redrivenAt: z.number().optional(),
      }),
    ),
  })
  .meta({ id: "RunQueue" });
export type RunQueueReport = z.infer<typeof runQueue>;

export const pendingRequest = z
  .object({
    id: requestIdSchema,
    runId: runIdSchema,
    sessionId: sessionIdSchema,
    kind: z.enum(HUMAN_LOOP_KINDS),
    title: z.string(),
    detail: z.record(z.string(), z.unknown()),
    options: z.array(z.object({ id: z.string(), label: z.string(), description: z.string().optional() })),
    multiple: z.boolean().optional(),
    rule: z.string().optional(),
    requestedAt: z.number(),
    /** How long people may take, from when one of them was shown it; then `expiresAt` is set. */
    answerWithinMs: z.number().optional(),
    expiresAt: z.number().optional(),
    /** For lists over several sessions. */
    sessionTitle: z.string().optional(),
    provider: z.enum(PROVIDERS).optional(),
  })
  .meta({ id: "PendingRequest" });
export type WaitingRequest = z.infer<typeof pendingRequest>;
export const replyBody = humanLoopReplySchema.extend({ requestId: requestIdSchema });
export const todosBody = z.object({ items: z.array(todoSchema) });

export const fileEntry = z
  .object({
    name: z.string(),
    path: z.string(),
    kind: z.enum(["file", "directory", "link"]),
    size: z.number(),
    mode: z.number(),
    mtimeMs: z.number().optional(),
    target: z.string().optional(),
  })
  .meta({ id: "FileEntry" });
export type FileEntry = z.infer<typeof fileEntry>;

export const joinTokenBody = z.object({
  name: z.string().trim().max(200).optional(),
  pool: z.string().max(63).default("default"),
});
/** An Ed25519 public key as JWK; joining again with the same key gives the same host. */
export const publicKeySchema = z.object({
  kty: z.literal("OKP"),
  crv: z.literal("Ed25519"),
  x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
});
export const joinBody = z.object({
  joinToken: z.string().max(500),
  publicKey: publicKeySchema,
  name: z.string().trim().min(1).max(200),
});
export const joinAnswer = z.object({ hostId: z.string(), organizationId: z.string(), pool: z.string() });
/** RFC 7523: `assertion` is a JWT signed with the host's key; iss = sub = host id, aud = the control plane's origin, 60 s. */
export const connectBody = z.object({ assertion: z.string().max(4_096) });
export const connectAnswer = z.object({
  /** With a one-time ticket; for the first connection. */
  connect_url: z.string(),
  /** Without ticket; the token alone counts. */
  reconnect_url: z.string(),
  token: z.string(),
  /** Milliseconds since 1970, server time. */
  expires_at: z.number(),
});

export const hostRecord = z
  .object({
    id: z.string(),
    name: z.string(),
    pool: z.string(),
    status: z.enum(HOST_STATUSES),
    lastSeenAt: z.number().optional(),
    createdAt: z.number(),
    facts: hostFactsSchema.optional(),
    leases: z.number().int(),
  })
  .meta({ id: "Host" });
export type HostRecord = z.infer<typeof hostRecord>;
