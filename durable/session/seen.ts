/**
 * A request that is not answered in time expires; but nobody can be late who was never asked. The clock begins when a
 * person has been shown the request: their page has acknowledged it, or their inbox has listed it.
 *
 *   requested ─shown to a person─► seen, expiresAt set ─nobody answers─► resolved as expired, the agent is told "denied"
 */
import type { Actor, HumanLoopRequest, NewEvent } from "#protocol/events.ts";
import { isPerson } from "#protocol/ids.ts";
import { type Rejection, reject } from "#protocol/objects.ts";
import type { RunView } from "#protocol/run-view.ts";
import { runById, type SessionView } from "#protocol/session-view.ts";
import { unpark } from "./parking.ts";

export const EXPIRED = "Nobody answered in time. Do not do it; find another way, or say what is missing.";

/** The request as the session keeps it: how long people have is the run's to say, not its runner's. */
export function withTimeToAnswer(request: HumanLoopRequest, { humanLoopTimeoutMs }: RunView): HumanLoopRequest {
  const { expiresAt: _mine, answerWithinMs: _too, ...rest } = request;
  return humanLoopTimeoutMs === undefined ? rest : { ...rest, answerWithinMs: humanLoopTimeoutMs };
}

/** A person has everything up to `cursor`. The first one who has starts the clock; without a limit there is none. */
export function decideSeen(view: SessionView, cursor: number, by: Actor, now: number): NewEvent[] {
  return view.pending.flatMap(({ requestId, runId, seq = 0, answerWithinMs, expiresAt }): NewEvent[] => {
    if (answerWithinMs === undefined || expiresAt !== undefined || seq > cursor) return [];
    return [{ type: "human_loop.seen", runId, data: { requestId, by, expiresAt: now + answerWithinMs } }];
  });
}

/** Somebody who is shown the session; whether they may answer is what the worker says. */
export type Viewer = { actor: Actor; mayReply: boolean };

/** Programs that read along are no people, and who may not answer is not asked: what they have seen, nobody has. */
export function isAsked({ actor, mayReply }: Viewer): boolean {
  return mayReply && isPerson(actor.id);
}

/** Why this viewer may not send this; undefined when they may. */
export function viewerRefusal({ type }: { type: string }, { mayReply }: Viewer): Rejection | undefined {
  return type === "reply" && !mayReply ? reject("forbidden", "You may not answer what is asked here.") : undefined;
}

/** True when showing the session to a person would start a clock. */
export function hasUnseen({ pending }: SessionView): boolean {
  return pending.some(({ answerWithinMs, expiresAt }) => answerWithinMs !== undefined && expiresAt === undefined);
}

/** The deadline of a request has passed. */
export function expire(view: SessionView, requestId: string): NewEvent[] {
  const request = view.pending.find((pending) => pending.requestId === requestId);
  if (request?.expiresAt === undefined) return [];
  const { runId } = request;
  return [
    { type: "human_loop.resolved", runId, data: { requestId, decision: "expired", reason: EXPIRED } },
    ...unpark(view, runById(view, runId), requestId),
  ];
}
