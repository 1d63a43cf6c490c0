/**
 * Starting a run and staying with it.
 *
 *   session ── prompt ──→ { runId, cursor } ── /events after cursor, this run only ──→ SSE through, or one JSON answer
 */
import type { z } from "zod";
import type { SessionEvent } from "#protocol/events.ts";
import type { runResult, StartRunBody } from "#protocol/http.ts";
import { LIMITS } from "#protocol/limits.ts";
import { planRestore } from "#protocol/restore-plan.ts";
import { timeoutOf } from "#protocol/run-defaults.ts";
import type { RuntimeManifest } from "#protocol/runtime-manifest.ts";
import type { PromptInput } from "#protocol/viewer.ts";
import { type AppRow, appOfSession, usableApp } from "../apps/find.ts";
import { may } from "../auth/principal.ts";
import { type AppContext, commandContext } from "../context.ts";
import { Refused, refuse, unwrap } from "../errors.ts";
import { type SessionStub, sessionObject } from "../objects.ts";
import { readSse, untilLeft } from "../sse.ts";
import { createSession } from "./create-session.ts";
import { openEvents, type Reader } from "./session-events.ts";

export type StartedRun = { session: SessionStub; sessionId: string; runId: string; cursor: number; reader?: Reader };
type RunResult = z.infer<typeof runResult>;

/** A stream that ends before its run is opened again where it ended; this often without any new event in between. */
const FRUITLESS_READS = 5;
const TITLE_CHARS = 80;

/**
 * Queues the run, in the named session or in a new one.
 * @throws Refused what the session refuses
 */
export async function startRun(c: AppContext, body: StartRunBody): Promise<StartedRun> {
  const { priority = 0 } = body;
  // Otherwise everybody's runs would be the most urgent ones.
  if (priority > 0 && !may(c.var.principal, "runs.operate"))
    refuse("forbidden", "a priority above 0 needs the permission runs.operate", { permission: "runs.operate" });
  const app = await appOf(c, body);
  if (body.manifest !== undefined) refuseUnfit(body.manifest, body.sessionId === undefined ? "empty" : "unknown");
  const { sessionId, session } = await sessionFor(c, body, app?.id);
  const { runId, cursor } = unwrap(await session.prompt(promptOf(body), await commandContext(c)));
  c.set("log", c.var.log.with({ sessionId, runId }));
  return { session, sessionId, runId, cursor };
}

/**
 * What can be known here: that a manifest is sound, and for a session that does not exist yet also that nothing it requires
 * will lack. What is on an existing session's disk is its host's to say.
 */
function refuseUnfit(manifest: RuntimeManifest, workspace: "empty" | "unknown"): void {
  const planned = planRestore({ manifest, existingPaths: [], existingLinks: [] });
  if (planned.ok) return;
  if (planned.reason !== "required_paths_missing") throw new Refused(planned);
  const missing = "missing" in planned ? planned.missing : [];
  if (workspace === "empty") throw new Refused({ ...planned, details: { missing } });
}

/**
 * The app whose defaults a run gets. Of a session that is there it is the session's own: network and credentials belong to
 * the whole session, so a run cannot bring another app's.
 */
async function appOf(c: AppContext, { sessionId, executionProfile }: StartRunBody): Promise<AppRow | undefined> {
  const named = typeof executionProfile === "string" ? await usableApp(c, executionProfile) : undefined;
  if (sessionId === undefined) return named;
  const own = await appOfSession(c, sessionId);
  if (named && named.id !== own?.id) {
    const whose = own ? `the app ${own.name}` : "no app";
    refuse("execution_profile_conflict", `This session was made with ${whose}. Start a new one for ${named.name}.`);
  }
  return own;
}

async function sessionFor(
  c: AppContext,
  body: StartRunBody,
  appId: string | undefined,
): Promise<{ sessionId: string; session: SessionStub }> {
  if (body.sessionId !== undefined) {
    return { sessionId: body.sessionId, session: sessionObject(c.env, c.var.principal.organizationId, body.sessionId) };
  }
  const { prompt, provider, model, providerOptions, requires } = body;
  const first = { model, providerOptions, requires };
  return createSession(c, { title: titleFrom(prompt), provider, appId }, { first });
}

/** The prompt as the session knows it. A time-out in the provider's options counts when the run itself names none. */
export function promptOf(body: Omit<StartRunBody, "onDisconnect">): PromptInput {
  const {
    prompt,
    provider,
    model,
    providerOptions,
    runTimeoutMs,
    humanLoopTimeoutMs,
    retryOn,
    manifest,
    priority,
    executionProfile,
    requires,
  } = body;
  const labels = typeof executionProfile === "object" ? executionProfile.labels : undefined;
  const timeoutMs = timeoutOf({ timeoutMs: runTimeoutMs, optionMs: providerOptions?.timeoutMs });
  const input = {
    text: prompt,
    provider,
    model,
    providerOptions,
    timeoutMs,
    humanLoopTimeoutMs,
    retryOn,
    manifest,
    priority,
    labels,
    requires,
  };
  // Left out, not undefined: the same request has to look the same to the session's receipts.
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined)) as PromptInput;
}

/** The first line of a prompt, cut to a title. */
export function titleFrom(prompt: string): string {
  const line = (prompt.trim().split("\n", 1)[0] ?? "").replace(/\s+/g, " ").trim();
  const title = line.length <= TITLE_CHARS ? line : `${line.slice(0, TITLE_CHARS - 1)}…`;
  return title.slice(0, LIMITS.titleChars) || "New session";
}

export function runHeaders({ runId, sessionId }: Pick<StartedRun, "runId" | "sessionId">): Record<string, string> {
  return { "x-run-id": runId, "x-session-id": sessionId };
}

/**
 * The events of a run after its cursor, in order, up to and with its `run.finished`; fewer when the reader has left, or
 * has that end already.
 * @throws Refused `unavailable` when the stream keeps breaking; the run itself goes on. With a `reader` also what that
 *   throws, and the stream's own error when the credential was revoked
 */
export async function* followRun(run: StartedRun, left?: AbortSignal): AsyncGenerator<SessionEvent> {
  const { session, sessionId, runId, reader } = run;
  let at = run.cursor;
  for (let fruitless = 0; fruitless < FRUITLESS_READS; fruitless++) {
    const body = await openEvents(session, { cursor: at, runId, ...(reader && { reader }) });
    if (!body) return;
    for await (const message of readSse(untilLeft(body, left))) {
      const event = JSON.parse(message.data) as SessionEvent;
      at = event.seq;
      fruitless = 0;
      yield event;
      if (event.type === "run.finished") return;
    }
    if (left?.aborted) return;
  }
  return refuse("unavailable", "the run goes on, but its events cannot be read just now", { runId, sessionId });
}

/** Reads the run to its end. @throws Refused `unavailable` like followRun */
export async function awaitRun(run: StartedRun): Promise<RunResult> {
  const { runId, sessionId } = run;
  const texts = new Map<string, string>();
  for await (const event of followRun(run)) {
    if (event.type === "message.stop") texts.set(event.data.messageId, event.data.text);
    if (event.type !== "run.finished") continue;
    const { outcome, reason, evidence, usage } = event.data;
    const text = [...texts.values()].join("\n\n");
    return { ok: outcome === "succeeded", runId, sessionId, outcome, reason, evidence, text, usage };
  }
  throw new Error("a run that nobody left has an end");
}
