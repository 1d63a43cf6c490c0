/**
 * The runner's own API, HTTP and SSE over a Unix socket, between the daemon and the runner in the container.
 *
 *   POST /provider-runs/start                       startSchema → 202 { runId, state }   the same run again: the same answer
 *   GET  /provider-runs/:runId/stream?cursor=N      SSE, also Last-Event-ID; id = n, event = type, data = RunnerEvent
 *   POST /provider-runs/:runId/stop                 → 202; interrupt, SIGTERM after 5 s, SIGKILL after 10 s
 *   POST /provider-runs/:runId/human-loop/reply     humanLoopReplySchema → 200, or 409 already_answered
 *   GET  /health                                    healthSchema
 *
 * The stream of a run ends after its `run.finished`. Events are kept on disk (the spool) until the container goes, so
 * that a daemon which was killed resumes at the last n it has stored.
 */
import { z } from "zod";
import { givenAnswerSchema, runEventSchema } from "./events.ts";
import { PROVIDERS } from "./vocabulary.ts";

export const startSchema = z.object({
  runId: z.string().max(100),
  sessionId: z.string().max(100),
  provider: z.enum(PROVIDERS),
  model: z.string().max(200).optional(),
  prompt: z.string(),
  providerOptions: z.record(z.string(), z.unknown()).optional(),
  /** Resume the provider's own conversation. */
  conversationId: z.string().max(500).optional(),
  timeoutMs: z.number().positive(),
  /** Answers that people have given already: the same question is not asked again. */
  given: z.array(givenAnswerSchema).max(100).optional(),
  /** The workspace as the runner sees it: `/workspace` in a container. */
  cwd: z.string(),
  traceId: z.string().max(100),
});
export type ProviderRunStart = z.infer<typeof startSchema>;

export const runnerEventSchema = z.object({ n: z.number().int().positive(), event: runEventSchema });
export type RunnerEvent = z.infer<typeof runnerEventSchema>;

export const healthSchema = z.object({
  ok: z.literal(true),
  protocol: z.number().int(),
  pid: z.number().int(),
  /** Which providers this runner can drive right now, and the version of what drives them. */
  providers: z.partialRecord(z.enum(PROVIDERS), z.object({ version: z.string().optional() })),
  runs: z.array(
    z.object({ runId: z.string(), state: z.enum(["running", "waiting", "finished"]), lastN: z.number().int() }),
  ),
});
export type RunnerHealth = z.infer<typeof healthSchema>;
