/**
 * The transcript as people read it: a prompt, what the agent said and did about it, and how that ended. A follow-up is
 * recorded the moment it is sent, in the middle of the run before it; here it stands where its own run stands.
 */

import type { RunView } from "#protocol/run-view.ts";
import { activeRun, queuedRuns, type SessionView } from "#protocol/session-view.ts";
import type { Message } from "#protocol/transcript.ts";
import type { Outgoing, SessionState } from "./session-state.ts";

export type PromptOut = Outgoing & { command: { type: "prompt" } };

export type Turn = {
  key: string;
  prompt?: Message;
  /** Not taken in by the session yet. */
  out?: PromptOut;
  replies: Message[];
  run?: RunView;
};

/** A follow-up that waits above the composer: known to the session, or still on its way. */
export type Waiting = { key: string; text: string; runId?: string; author?: string; out?: PromptOut };

/** The run that the page is about: the active one, or the one that would be active if a host were there. */
export function currentRun(view: SessionView): RunView | undefined {
  return activeRun(view) ?? queuedRuns(view)[0];
}

export function isPrompt(item: Outgoing): item is PromptOut {
  return item.command.type === "prompt";
}

/** Turns in the order in which they were or will be carried out; what queues behind another run is left to [waiting]. */
export function turnsOf(state: SessionState): Turn[] {
  const behind = new Set(waiting(state).map((item) => item.key));
  const turns = new Map<string, Turn>();
  const turnOf = (key: string): Turn => {
    const known = turns.get(key);
    if (known) return known;
    const turn: Turn = { key, replies: [] };
    turns.set(key, turn);
    return turn;
  };
  for (const message of state.transcript.messages) {
    if (message.role === "user" && behind.has(message.id)) continue;
    const turn = turnOf(message.runId || message.id);
    if (message.role === "user") turn.prompt = message;
    else turn.replies.push(message);
  }
  for (const run of state.view.runs) {
    const turn = turns.get(run.id);
    if (turn) turn.run = run;
  }
  for (const item of state.outgoing)
    if (isPrompt(item) && !behind.has(item.command.id)) turnOf(item.command.id).out = item;
  return [...turns.values()];
}

/** What stands in line behind a run, in order. The first queued run of an idle session is not behind anything. */
export function waiting(state: SessionState): Waiting[] {
  const busy = activeRun(state.view) !== undefined;
  const queued = queuedRuns(state.view).map(
    (run): Waiting => ({ key: run.messageId, text: run.prompt, runId: run.id, author: run.author.name }),
  );
  const sending = state.outgoing
    .filter(isPrompt)
    .map((out): Waiting => ({ key: out.command.id, text: out.command.prompt.text, out }));
  const all = [...queued, ...sending];
  return busy ? all : all.slice(1);
}

/** Two turns that look the same: the fold keeps what it did not touch, so identity is enough. */
export function sameTurn(a: Turn, b: Turn): boolean {
  return (
    a.key === b.key &&
    a.prompt === b.prompt &&
    a.out === b.out &&
    a.run === b.run &&
    a.replies.length === b.replies.length &&
    a.replies.every((reply, index) => reply === b.replies[index])
  );
}
