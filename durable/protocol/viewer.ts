/** What travels between a person's page and the session: commands up, snapshot, events and answers down. */
import { z } from "zod";
import { CAPABILITIES } from "./capabilities.ts";
import { humanLoopReplySchema, providerOptionsSchema, type SessionEvent } from "./events.ts";
import { commandIdSchema } from "./ids.ts";
import { LIMITS } from "./limits.ts";
import { promptManifestSchema } from "./runtime-manifest.ts";
import type { SessionView } from "./session-view.ts";
import type { Transcript } from "./transcript.ts";
import { PROVIDERS } from "./vocabulary.ts";

/** A prompt as the API, the socket and the session know it. */
export const promptSchema = z.object({
  text: z.string().trim().min(1, "a prompt needs text").max(LIMITS.promptBytes),
  provider: z.enum(PROVIDERS).optional(),
  model: z.string().max(200).optional(),
  providerOptions: providerOptionsSchema.optional(),
  timeoutMs: z.number().int().positive().optional(),
  humanLoopTimeoutMs: z.number().int().positive().optional(),
  retryOn: z.array(z.literal("host_lost")).max(1).optional(),
  manifest: promptManifestSchema.optional(),
  /** What the provider has to be able to do; a run that would lack it is refused. */
  requires: z.array(z.enum(CAPABILITIES)).max(CAPABILITIES.length).optional(),
});
/** With what only the API may ask for. */
export type PromptInput = z.infer<typeof promptSchema> & {
  priority?: number;
  labels?: Record<string, string>;
  redriveOf?: string;
};

export const fromViewer = z.discriminatedUnion("type", [
  z.object({ type: z.literal("prompt"), id: commandIdSchema, prompt: promptSchema }),
  /** Without `runId`: the active run. Queued follow-ups stay unless `clearQueue`. */
  z.object({
    type: z.literal("stop"),
    id: commandIdSchema,
    runId: z.string().max(100).optional(),
    clearQueue: z.boolean().default(false),
    reason: z.string().max(1_000).optional(),
  }),
  z.object({ type: z.literal("reply"), id: commandIdSchema, reply: humanLoopReplySchema }),
  z.object({ type: z.literal("rename"), id: commandIdSchema, title: z.string().trim().min(1).max(LIMITS.titleChars) }),
  /** "I have everything up to cursor." */
  z.object({ type: z.literal("ack"), cursor: z.number().int().nonnegative() }),
]);
export type FromViewer = z.infer<typeof fromViewer>;
/** The same as a page writes it, with what has a default left out. */
export type ViewerCommand = z.input<typeof fromViewer>;

export type Answer =
  | { type: "answer"; id: string; ok: true; runId?: string }
  | { type: "answer"; id: string; ok: false; reason: string; message: string; details?: unknown };

/** Why a reader got a snapshot instead of the tail it asked for. */
export type SnapshotReason = "first_visit" | "too_far_behind" | "cursor_ahead";

export type ToViewer =
  | { type: "snapshot"; view: SessionView; transcript: Transcript; cursor: number; reason: SnapshotReason }
  | { type: "events"; events: SessionEvent[] }
  /** The tail has been sent; what follows is live. */
  | { type: "live"; cursor: number; hostConnected: boolean }
  | { type: "host"; connected: boolean }
  | { type: "error"; reason: string; message: string }
  | Answer;
