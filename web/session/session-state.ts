/**
 * What a session's page knows, as a pure fold of what the socket says and what the person does. The session itself is
 * folded by the same two functions as on the server; here we add only what a page has of its own: commands that are
 * on their way, and the requests it has seen, so that an answer given elsewhere can be shown with its question.
 */
import type { HumanLoopReply } from "#protocol/events.ts";
import { applyEvent, emptyView, type PendingRequest, type SessionView } from "#protocol/session-view.ts";
import { applyToTranscript, emptyTranscript, type Transcript } from "#protocol/transcript.ts";
import type { Answer, FromViewer, ToViewer } from "#protocol/viewer.ts";

export type Command = Exclude<FromViewer, { type: "ack" }>;

/** A command that the session has not taken in yet, as far as this page has heard. */
export type Outgoing = { command: Command; at: number } & (
  | { state: "sending" }
  | { state: "accepted"; runId?: string }
  | { state: "refused"; reason: string; message: string }
);

export type SeenRequest = { request: PendingRequest; mine?: HumanLoopReply["decision"] };

export type SessionState = {
  view: SessionView;
  transcript: Transcript;
  /** False until the first tail or snapshot has arrived whole. */
  loaded: boolean;
  hostConnected: boolean;
  outgoing: readonly Outgoing[];
  seen: Readonly<Record<string, SeenRequest>>;
  problem?: { reason: string; message: string };
};

export function initialState(sessionId: string, outgoing: readonly Outgoing[] = []): SessionState {
  return {
    view: emptyView(sessionId),
    transcript: emptyTranscript,
    loaded: false,
    hostConnected: false,
    outgoing,
    seen: {},
  };
}

/** Folds one frame of the server. */
export function receive(state: SessionState, frame: ToViewer): SessionState {
  switch (frame.type) {
    case "snapshot": {
      const { view, transcript } = frame;
      return settle({ ...state, view, transcript, seen: withSeen(state.seen, view.pending) });
    }
    case "events": {
      let { view, transcript } = state;
      for (const event of frame.events) {
        view = applyEvent(view, event);
        transcript = applyToTranscript(transcript, event);
      }
      if (view === state.view) return state;
      return settle({ ...state, view, transcript, seen: withSeen(state.seen, view.pending) });
    }
    case "live":
      return { ...state, loaded: true, hostConnected: frame.hostConnected, problem: undefined };
    case "host":
      return { ...state, hostConnected: frame.connected };
    case "error":
      return { ...state, problem: { reason: frame.reason, message: frame.message } };
    case "answer":
      return answered(state, frame);
    default:
      // A newer server may say more than this page knows.
      return state;
  }
}

/** The person asked for something; the same id twice is the same wish. */
export function issue(state: SessionState, command: Command, at: number): SessionState {
  if (state.outgoing.some((known) => known.command.id === command.id)) return state;
  const outgoing: Outgoing[] = [...state.outgoing, { command, at, state: "sending" }];
  if (command.type !== "reply") return { ...state, outgoing };
  const { requestId, decision } = command.reply;
  const known = state.seen[requestId];
  return {
    ...state,
    outgoing,
    seen: known ? { ...state.seen, [requestId]: { ...known, mine: decision } } : state.seen,
  };
}

export function retry(state: SessionState, id: string): SessionState {
  const outgoing = state.outgoing.map(
    (known): Outgoing => (known.command.id === id ? { command: known.command, at: known.at, state: "sending" } : known),
  );
  return { ...state, outgoing };
}

export function discard(state: SessionState, id: string): SessionState {
  return { ...state, outgoing: state.outgoing.filter((known) => known.command.id !== id) };
}

function answered(state: SessionState, answer: Answer): SessionState {
  const known = state.outgoing.find((item) => item.command.id === answer.id);
  if (!known) return state;
  const { command, at } = known;
  if (!answer.ok) {
    const { reason, message } = answer;
    // Whoever was first wins: from here on this is somebody else's answer.
    const seen = command.type === "reply" ? withoutMine(state.seen, command.reply.requestId) : state.seen;
    return { ...state, seen, outgoing: replace(state.outgoing, { command, at, state: "refused", reason, message }) };
  }
  // Only a prompt has something to show until its event is here; the others have done their work.
  if (command.type !== "prompt") return discard(state, answer.id);
  return settle({
    ...state,
    outgoing: replace(state.outgoing, { command, at, state: "accepted", runId: answer.runId }),
  });
}

/** A prompt whose event has arrived is part of the transcript now: its bubble and the message are one. */
function settle(state: SessionState): SessionState {
  if (state.outgoing.length === 0) return state;
  const said = new Set(state.transcript.messages.map((message) => message.id));
  for (const run of state.view.runs) said.add(run.messageId);
  const outgoing = state.outgoing.filter((item) => item.command.type !== "prompt" || !said.has(item.command.id));
  return outgoing.length === state.outgoing.length ? state : { ...state, outgoing };
}

function replace(outgoing: readonly Outgoing[], item: Outgoing): Outgoing[] {
  return outgoing.map((known) => (known.command.id === item.command.id ? item : known));
}

function withSeen(seen: SessionState["seen"], pending: readonly PendingRequest[]): SessionState["seen"] {
  const fresh = pending.filter((request) => !seen[request.requestId]);
  if (fresh.length === 0) return seen;
  return { ...seen, ...Object.fromEntries(fresh.map((request) => [request.requestId, { request }])) };
}

function withoutMine(seen: SessionState["seen"], requestId: string): SessionState["seen"] {
  const known = seen[requestId];
  return known ? { ...seen, [requestId]: { request: known.request } } : seen;
}
