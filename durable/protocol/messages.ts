/**
 * What travels on the two links that a host dials.
 *
 *   control   host ↔ FleetObject     one per host
 *   data      host ↔ SessionObject   one per leased session
 *
 * Both begin with `auth` → `welcome` → `resume` → `resumed`. From then on every message of either side is wrapped as
 * `{ n, ack, message }`; `{ ack }` alone acknowledges without saying anything. "ping" and "pong" are plain text and
 * answered by the platform.
 */
import { z } from "zod";
import {
  givenAnswerSchema,
  humanLoopReplySchema,
  labelsSchema,
  providerOptionsSchema,
  runEventSchema,
} from "./events.ts";
import { sessionIdSchema } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { reconcilerReport } from "./reconcile.ts";
import { runtimeManifestSchema } from "./runtime-manifest.ts";
import { FAILURE_REASONS, PROVIDERS, READINESS, SYNC_CHOICES, VM_MODES } from "./vocabulary.ts";

const id = z.string().max(100);
const count = z.number().int().nonnegative();
const epoch = z.number().int().positive();
const note = z.string().max(2_000);

/* ── handshake ─────────────────────────────────────────────────────────────────────────────────────────────── */

/** First frame on any link. `epoch` is given on a data link and names the lease under which the host comes. */
export const authSchema = z.object({
  type: z.literal("auth"),
  token: z.string().max(4_096),
  /** The newest protocol version that the host speaks, and the oldest. */
  protocol: z.number().int(),
  oldest: z.number().int().optional(),
  epoch: epoch.optional(),
});
/** Second frame of the host: the highest number it has taken from the server under this link. */
export const resumeSchema = z.object({ type: z.literal("resume"), received: count });

/**
 * What a dial may carry in the header AUTH_HEADER, as JSON: both frames of the host before it has dialled. A server that lets
 * it in says so in its answer's header of the same name and goes on as if they had come; else they have to come.
 */
export const dialSchema = authSchema.extend({ received: count });
export const AUTH_HEADER = "gantry-auth";
export const AUTH_TAKEN = "taken";

export const welcomeSchema = z.object({ type: z.literal("welcome"), protocol: z.number().int(), now: z.number() });
/** The highest number the server has taken from the host: everything above it is to be sent again. */
export const resumedSchema = z.object({ type: z.literal("resumed"), received: count });
export const errorSchema = z.object({ type: z.literal("error"), reason: id, message: note });
/** An acknowledgement alone. A message whose number is missing or none is not one: taken for it, it would be lost in silence. */
export const ackSchema = z.object({ ack: count, message: z.undefined().optional() });

/* ── control link ──────────────────────────────────────────────────────────────────────────────────────────── */

const providerReadiness = z.object({
  state: z.enum(READINESS),
  version: z.string().max(100).optional(),
  reason: note.optional(),
  /** What to do: a sentence, which ends with a full stop, or one command for a shell on the host. */
  fix: note.optional(),
});
/** What a host says of itself whenever it has (re)connected or something changed. */
export const hostFactsSchema = z.object({
  name: z.string().max(200),
  version: z.string().max(50),
  platform: z.string().max(100),
  vmModes: z.array(z.enum(VM_MODES)).max(3),
  providers: z.partialRecord(z.enum(PROVIDERS), providerReadiness),
  labels: labelsSchema.default({}),
  /** How many session workers it is willing to run at once. */
  slots: z.number().int().min(0).max(1_000),
});
export type HostFacts = z.infer<typeof hostFactsSchema>;

const leaseRef = z.object({ sessionId: id, epoch });

export const fromHostControl = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("facts"),
    facts: hostFactsSchema,
    /** Leases it believes to hold. */ leases: z.array(leaseRef).max(1_000),
  }),
  z.object({ type: z.literal("assign.accept"), sessionId: id, epoch }),
  z.object({ type: z.literal("assign.reject"), sessionId: id, epoch, reason: note }),
  /** The worker is gone and its work is saved: the lease may go. */
  z.object({ type: z.literal("lease.release"), sessionId: id, epoch }),
  /** The files that a worker left here when it stopped, under this epoch, are gone from this disk [P-43]. */
  z.object({ type: z.literal("workspace.removed"), sessionId: sessionIdSchema, epoch }),
  z.object({ type: z.literal("token.renew") }),
  /** What the host found when it looked over what it keeps of work that is over. */
  z.object({ type: z.literal("reconciled"), reports: z.array(reconcilerReport).max(20) }),
]);
export type FromHostControl = z.infer<typeof fromHostControl>;

/** The offer of a session's worker. The host answers accept or reject; accepting, it dials the session's data link. */
export const assignmentSchema = z.object({
  sessionId: id,
  epoch,
  vmMode: z.enum(VM_MODES),
  /** Where to dial the data link; the token of the control link authenticates there. */
  dataUrl: z.string().max(2_000),
  /** Where packs and snapshots of this session are uploaded and read. */
  storeUrl: z.string().max(2_000),
  traceId: id,
});
export type Assignment = z.infer<typeof assignmentSchema>;

export const toHostControl = z.discriminatedUnion("type", [
  z.object({ type: z.literal("assign"), assignment: assignmentSchema }),
  /** The lease is no longer this host's: stop the worker, keep unsaved work on disk, do not upload under this epoch. */
  z.object({ type: z.literal("lease.revoked"), sessionId: id, epoch, reason: note }),
  z.object({ type: z.literal("drain"), reason: note }),
  z.object({ type: z.literal("drain.over") }),
  z.object({ type: z.literal("token"), token: z.string(), expiresAt: z.number() }),
  /** A change: what it does not name stays, `null` is the host's own to choose. */
  z.object({ type: z.literal("config_update"), config: z.record(z.string(), z.unknown()) }),
  /** Look over what you keep of work that is over, and say what you found: `reconciled`. */
  z.object({ type: z.literal("reconcile") }),
]);
export type ToHostControl = z.infer<typeof toHostControl>;

/* ── data link ─────────────────────────────────────────────────────────────────────────────────────────────── */

export const fromHostData = z.discriminatedUnion("type", [
  /** Receipt: the host has the run on its own disk. From here on nothing may be delivered a second time. */
  z.object({ type: z.literal("run.accepted"), runId: id }),
  /** The host is about to start the provider, and does so once this is acknowledged. Work may have happened from here on. */
  z.object({ type: z.literal("run.started"), runId: id }),
  z.object({
    type: z.literal("run.events"),
    runId: id,
    events: z.array(runEventSchema).min(1).max(LIMITS.eventsPerFrame),
  }),
  /** The run ended without the runner's own `run.finished`: container killed, restore failed, runner lost. */
  z.object({ type: z.literal("run.aborted"), runId: id, reason: z.enum(FAILURE_REASONS), evidence: note }),
  z.object({
    type: z.literal("worker.status"),
    state: z.enum(["starting", "active", "stopping", "stopped"]),
    detail: z.string().max(1_000).optional(),
    /** Of `stopped`: the snapshot that the files on this disk come from, `null`: from none [P-42]. */
    warm: id.nullable().optional(),
  }),
  /** A sync failed. A sync that succeeded is reported by the store, not by the host. */
  z.object({
    type: z.literal("sync.failed"),
    reason: z.string().max(1_000),
    attempt: z.number().int().positive(),
    /** Milliseconds until the next try, on the host's own clock. */
    retryInMs: count.optional(),
    /** No more tries until a person decides. */
    blocked: z.boolean().optional(),
    /** Files that are not in the store as they are on the disk [P-41]. */
    files: count.optional(),
  }),
]);
export type FromHostData = z.infer<typeof fromHostData>;

/** Everything the runner needs to start one provider run. */
export const runStartSchema = z.object({
  runId: id,
  sessionId: id,
  provider: z.enum(PROVIDERS),
  model: z.string().max(200).optional(),
  prompt: z.string(),
  providerOptions: providerOptionsSchema.optional(),
  timeoutMs: z.number().positive(),
  /** Resume the provider's own conversation. */
  conversationId: z.string().max(500).optional(),
  /** What the workspace must be before the run: restore it unless the disk already holds exactly this. */
  snapshotId: z.string().max(100).optional(),
  /** What has to be laid out, and be there, before the run starts (runtime-manifest.ts). */
  manifest: runtimeManifestSchema.optional(),
  attempt: z.number().int().positive(),
  /** The run was parked this often; its runner is told of a new part, with what was answered meanwhile. */
  part: z.number().int().positive().optional(),
  given: z.array(givenAnswerSchema).max(100).optional(),
  traceId: id,
});
export type RunStart = z.infer<typeof runStartSchema>;

export const toHostData = z.discriminatedUnion("type", [
  z.object({ type: z.literal("run.start"), run: runStartSchema }),
  z.object({ type: z.literal("run.stop"), runId: id, reason: note.optional() }),
  z.object({ type: z.literal("run.reply"), runId: id, reply: humanLoopReplySchema }),
  /** Save, then stop the container, then say `worker.status stopped`. */
  z.object({ type: z.literal("worker.stop"), reason: note }),
  z.object({ type: z.literal("sync.now") }),
  /** What a person has decided about a workspace that cannot be saved. */
  z.object({ type: z.literal("sync.decide"), choice: z.enum(SYNC_CHOICES) }),
  z.object({ type: z.literal("config_update"), config: z.record(z.string(), z.unknown()) }),
]);
export type ToHostData = z.infer<typeof toHostData>;
