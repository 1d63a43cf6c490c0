/**
 * Events: what happened in a session. One envelope, one closed list of types, one shape per type.
 * The runner produces the run's own events ([runEventSchema]); everything else is decided in the session.
 */
import type { UIMessageChunk } from "ai";
import { z } from "zod";
import { LIMITS } from "./limits.ts";
import { runtimeManifestSchema } from "./runtime-manifest.ts";
import {
  DECISIONS,
  FAILURE_REASONS,
  HUMAN_LOOP_KINDS,
  OUTCOMES,
  PROVIDERS,
  RESOLUTIONS,
  SYNC_CHOICES,
  TODO_STATUSES,
  VM_MODES,
  WORKER_STATES,
} from "./vocabulary.ts";

export const usageSchema = z.object({
  inputTokens: z.number().nonnegative().default(0),
  outputTokens: z.number().nonnegative().default(0),
  cacheReadTokens: z.number().nonnegative().default(0),
  cacheWriteTokens: z.number().nonnegative().default(0),
  reasoningTokens: z.number().nonnegative().default(0),
  /** US dollars as the provider reports them; absent when it reports none. */
  costUsd: z.number().nonnegative().optional(),
  durationMs: z.number().nonnegative().default(0),
});
export type Usage = z.infer<typeof usageSchema>;

export const todoSchema = z.object({
  id: z.string().max(100),
  text: z.string().max(2_000),
  status: z.enum(TODO_STATUSES),
});
export type Todo = z.infer<typeof todoSchema>;

/** Who asked for something: a person or a service token. */
export const actorSchema = z.object({ id: z.string().max(100), name: z.string().max(200) });
export type Actor = z.infer<typeof actorSchema>;

/** AI SDK UI message chunks. Only the tag is checked here; readers ignore what they do not know. */
export const chunkSchema = z.looseObject({ type: z.string().max(64) }) as unknown as z.ZodType<UIMessageChunk>;

/** Provider settings that pass through untouched, bounded by the body's size. */
export const providerOptionsSchema = z.record(z.string(), z.unknown());

/** Labels of a host, and what a run asks of them. */
export const labelsSchema = z.record(z.string().max(63), z.string().max(255));

const text = z.string().max(LIMITS.toolOutputBytes);

const optionSchema = z.object({
  id: z.string().max(100),
  label: z.string().max(500),
  description: z.string().max(2_000).optional(),
});
/** One thing that is asked. `detail` holds the whole command, path or diff, so that nobody approves blind. */
export const humanLoopRequestSchema = z.object({
  requestId: z.string().max(100),
  kind: z.enum(HUMAN_LOOP_KINDS),
  title: z.string().max(1_000),
  detail: z.record(z.string(), z.unknown()).default({}),
  /** Questions: the offered answers. Free text is always allowed. */
  options: z.array(optionSchema).max(20).default([]),
  multiple: z.boolean().default(false),
  toolCallId: z.string().max(200).optional(),
  /** The exact rule that "allow for this session" would store. */
  rule: z.string().max(2_000).optional(),
  /** How long people may take, from when one of them was shown it. Absent: as long as they like. */
  answerWithinMs: z.number().positive().optional(),
  expiresAt: z.number().optional(),
});
export type HumanLoopRequest = z.infer<typeof humanLoopRequestSchema>;

export const humanLoopReplySchema = z.object({
  requestId: z.string().max(100),
  decision: z.enum(DECISIONS),
  scope: z.enum(["once", "session"]).default("once"),
  /** Questions: option ids or free text. */
  answers: z.array(z.string().max(10_000)).max(20).optional(),
  reason: z.string().max(4_000).optional(),
});
export type HumanLoopReply = z.infer<typeof humanLoopReplySchema>;

/**
 * What people answered to a run that was parked. Given to the provider when it asks the same again: by the rule, or by
 * kind and title where there is none.
 */
export const givenAnswerSchema = humanLoopReplySchema
  .omit({ requestId: true })
  .extend({ kind: z.enum(HUMAN_LOOP_KINDS), title: z.string().max(1_000), rule: z.string().max(2_000).optional() });
export type GivenAnswer = z.infer<typeof givenAnswerSchema>;

const finishedData = z.object({
  outcome: z.enum(OUTCOMES),
  reason: z.enum(FAILURE_REASONS).optional(),
  /** The provider's or the system's own last words, redacted; says what happened and what to do next. */
  evidence: z.string().max(4_000).optional(),
  usage: usageSchema.optional(),
});
export type RunFinishedData = z.infer<typeof finishedData>;

/** The data of every event type. The keys are the wire names and do not change. */
export const EVENT_DATA = {
  "session.created": z.object({
    title: z.string().max(LIMITS.titleChars),
    provider: z.enum(PROVIDERS),
    vmMode: z.enum(VM_MODES),
    createdBy: actorSchema,
    appId: z.string().max(100).optional(),
    /** Its first files are those of another session's snapshot. */
    forkedFrom: z.object({ sessionId: z.string().max(100), snapshotId: z.string().max(100) }).optional(),
  }),
  "session.updated": z.object({ title: z.string().max(LIMITS.titleChars) }),
  "session.deleted": z.object({ by: actorSchema }),
  /** A person's message: the run exists from here on, in state queued. */
  "session.prompted": z.object({
    messageId: z.string().max(100),
    text: z.string(),
    provider: z.enum(PROVIDERS),
    model: z.string().max(200).optional(),
    providerOptions: providerOptionsSchema.optional(),
    timeoutMs: z.number().positive().optional(),
    humanLoopTimeoutMs: z.number().positive().optional(),
    retryOn: z.array(z.literal("host_lost")).optional(),
    manifest: runtimeManifestSchema.optional(),
    priority: z.number().int().optional(),
    labels: labelsSchema.optional(),
    /** The failed run whose prompt this is again. */
    redriveOf: z.string().max(100).optional(),
    author: actorSchema,
  }),
  "run.status": z.object({
    state: z.enum(["queued", "assigned", "preparing", "running", "waiting", "cancelling"]),
    detail: z.string().max(1_000).optional(),
    /** `detail` is a warning: it stays with the run when the run goes on. */
    warning: z.boolean().optional(),
    hostId: z.string().max(100).optional(),
    attempt: z.number().int().positive().optional(),
    /** The attempt is not made before (milliseconds since 1970). */
    nextAt: z.number().optional(),
    /** The host that failed the attempt before. */
    failedHostId: z.string().max(100).optional(),
    /** The provider's own conversation, by which a later run resumes it. */
    conversationId: z.string().max(500).optional(),
    /** A waiting run lets go of its worker: the answer starts the conversation again. */
    parked: z.boolean().optional(),
  }),
  "run.finished": finishedData,
  "message.delta": z.object({ messageId: z.string().max(100), chunks: z.array(chunkSchema).min(1).max(5_000) }),
  "message.stop": z.object({ messageId: z.string().max(100), text: z.string() }),
  "todo.update": z.object({ items: z.array(todoSchema).max(200) }),
  "human_loop.requested": humanLoopRequestSchema,
  /** A person was shown it, the first of them; from here on it can expire. */
  "human_loop.seen": z.object({ requestId: z.string().max(100), by: actorSchema, expiresAt: z.number() }),
  "human_loop.resolved": z.object({
    requestId: z.string().max(100),
    decision: z.enum(RESOLUTIONS),
    scope: z.enum(["once", "session"]).optional(),
    answers: z.array(z.string()).optional(),
    reason: text.optional(),
    by: actorSchema.optional(),
  }),
  "worker.status": z.object({
    state: z.enum(WORKER_STATES),
    /** Of `cold`: the host that had the files warm until now and has removed them. */
    hostId: z.string().max(100).optional(),
    /** The lease under which this is so; it only grows. */
    epoch: z.number().int().nonnegative().optional(),
    detail: z.string().max(1_000).optional(),
    /** The host's labels, told with the grant of its lease. */
    labels: labelsSchema.optional(),
    /** Of `stopped`: whether the host's files are those of the newest snapshot. A host from before did not say. */
    warm: z.boolean().optional(),
  }),
  "workspace.synced": z.object({
    snapshotId: z.string().max(100),
    files: z.number().int().nonnegative(),
    bytes: z.number().nonnegative().optional(),
    bytesSent: z.number().nonnegative(),
    durationMs: z.number().nonnegative().optional(),
  }),
  "workspace.sync_failed": z.object({
    reason: z.string().max(1_000),
    attempt: z.number().int().positive(),
    nextAt: z.number().optional(),
    /** The host tries no more by itself: a person decides. The worker stays. */
    blocked: z.boolean().optional(),
    /** Files that were found new or touched since the last snapshot, as far as the host came to look. */
    files: z.number().int().nonnegative().optional(),
  }),
  "workspace.sync_decided": z.object({
    choice: z.enum(SYNC_CHOICES),
    reason: z.string().max(1_000).optional(),
    by: actorSchema,
  }),
  /** A host that had lost its lease came back and handed in what it had: a snapshot beside the session's own. */
  "workspace.kept": z.object({
    hostId: z.string().max(100),
    /** The lease that was lost. */
    epoch: z.number().int().nonnegative(),
    snapshotId: z.string().max(100),
    files: z.number().int().nonnegative(),
    bytes: z.number().nonnegative().optional(),
    bytesSent: z.number().nonnegative(),
    durationMs: z.number().nonnegative().optional(),
  }),
  "usage.recorded": usageSchema,
} as const;

export type EventType = keyof typeof EVENT_DATA;
export type EventData<T extends EventType> = z.infer<(typeof EVENT_DATA)[T]>;

type EnvelopeOf<T extends EventType> = {
  v: 1;
  seq: number;
  /** A folded event covers `from` to `seq`; applying it replaces what it covers. */
  from?: number;
  /** Of a folded event: when the first that it covers happened, and how many parts its message had before that. */
  fold?: { since: number; parts: number };
  /** Server time, milliseconds since 1970. Order is by `seq`, never by this. */
  at: number;
  sessionId: string;
  runId?: string;
  type: T;
  data: EventData<T>;
  traceId: string;
};
/** One event of a session as every reader sees it. */
export type SessionEvent = { [T in EventType]: EnvelopeOf<T> }[EventType];
/** What `decide` answers: an event that the log has not numbered yet. */
export type NewEvent = { [T in EventType]: { type: T; runId?: string; data: EventData<T> } }[EventType];

/** The types a runner may emit about its run. Everything else is the session's own to say. */
export const RUN_EVENT_TYPES = [
  "message.delta",
  "message.stop",
  "todo.update",
  "human_loop.requested",
  "human_loop.resolved",
  "run.status",
  "run.finished",
  "usage.recorded",
] as const satisfies readonly EventType[];

const runEvent = <T extends (typeof RUN_EVENT_TYPES)[number]>(type: T) =>
  z.object({ type: z.literal(type), data: EVENT_DATA[type] });

/** One event as a runner says it: type and data, no envelope. */
export const runEventSchema = z.discriminatedUnion("type", [
  runEvent("message.delta"),
  runEvent("message.stop"),
  runEvent("todo.update"),
  runEvent("human_loop.requested"),
  runEvent("human_loop.resolved"),
  runEvent("run.status"),
  runEvent("run.finished"),
  runEvent("usage.recorded"),
]);
export type RunEvent = z.infer<typeof runEventSchema>;
