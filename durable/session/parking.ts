/**
 * A run that waits for a person for long lets go of its worker, which is saved and stopped like an idle one. The request
 * stays open. The answer queues the run again: a worker is started, the provider's own conversation is resumed, and it is
 * told what was answered. What it then asks once more is answered from `given`, without asking anybody.
 *
 *   waiting ─long─► waiting, parked ─worker stopped─► … ─answered─► queued ─► assigned ─► … ─► running (part + 1)
 */
import type { GivenAnswer, NewEvent, RunEvent } from "#protocol/events.ts";
import { TIMES } from "#protocol/limits.ts";
import { isParked, type RunView } from "#protocol/run-view.ts";
import type { SessionView } from "#protocol/session-view.ts";

const DETAIL =
  "Waiting for an answer. Its worker was saved and stopped meanwhile; the conversation goes on when you answer.";

/** Lets go of the worker when the run waits for a person and its conversation can be taken up again. */
export function park(view: SessionView, run: RunView | undefined): NewEvent[] {
  if (run?.state !== "waiting" || view.worker.state !== "active") return [];
  const asked = view.pending.some((request) => request.runId === run.id);
  if (!asked || view.conversations[run.provider] === undefined) return [];
  const { hostId } = view.worker;
  return [
    { type: "run.status", runId: run.id, data: { state: "waiting", parked: true, detail: DETAIL } },
    { type: "worker.status", data: { state: "stopping", hostId, epoch: view.epoch, detail: "parked" } },
  ];
}

/** The same for the sake of others, who wait for a slot: only after people had a moment to answer. */
export function parkForOthers(view: SessionView, run: RunView | undefined, now: number): NewEvent[] {
  const since = Math.max(0, ...view.pending.filter(({ runId }) => runId === run?.id).map((asked) => asked.requestedAt));
  return now - since < TIMES.parkForOthersAfterMs ? [] : park(view, run);
}

/**
 * What the host still says about a run that was parked under it: that its worker's end has cancelled it is no news.
 * Answers whether the event is to be passed over.
 */
export function isEndOfParking(run: RunView, event: RunEvent): boolean {
  if (!isParked(run)) return false;
  switch (event.type) {
    case "run.finished":
      return event.data.outcome === "cancelled";
    case "run.status":
    case "human_loop.requested":
    case "human_loop.resolved":
      return true;
    default:
      return false;
  }
}

/** The run goes on once nothing of it is open any more. `last`: the request that is being answered now. */
export function unpark(view: SessionView, run: RunView | undefined, last: string): NewEvent[] {
  if (!run || !isParked(run)) return [];
  if (view.pending.some((request) => request.runId === run.id && request.requestId !== last)) return [];
  return [{ type: "run.status", runId: run.id, data: { state: "queued", detail: "answered; going on" } }];
}

/** What the provider is told instead of the prompt, which its conversation has already. */
export function promptAfterParking(given: readonly GivenAnswer[]): string {
  return [
    "You were interrupted while you waited for a person. Meanwhile this was answered:",
    ...given.map((answer) => `- ${answer.title}: ${inWords(answer)}`),
    "Go on where you were. Do what was allowed once more, as it was not carried out; do not do what was denied.",
  ].join("\n");
}

function inWords({ decision, answers, reason }: GivenAnswer): string {
  if (decision === "answer") return (answers ?? []).join(", ");
  return decision === "allow" ? "allowed" : `denied${reason ? ` (${reason})` : ""}`;
}
