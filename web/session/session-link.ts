/**
 * The socket of a session's page: opens, comes back with back-off, asks for the tail after the cursor it has by then.
 *
 *   connecting ──open──▶ open ──close──▶ waiting ──time, "retry now", online, visible──▶ connecting
 *                                   └──▶ closed   (a close code that says: do not come back)
 */
import { type CloseName, closeByCode } from "#protocol/close-codes.ts";
import type { FromViewer, ToViewer } from "#protocol/viewer.ts";

export type LinkState = {
  /** Failed attempts since the link was last live. */
  attempt: number;
  /** Since when there is no live link; milliseconds since 1970. */
  downSince?: number;
} & (
  | { phase: "idle" | "connecting" | "open" }
  | { phase: "waiting"; retryAt: number }
  | { phase: "closed"; why: CloseName | "unknown" }
);

/** The part of WebSocket that is used, so that tests can be the peer. */
export type LinkSocket = Pick<WebSocket, "send" | "close"> & {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
};

export type LinkNeeds = {
  /** Called for every attempt, so that the cursor in it is the current one. */
  url(): string;
  open(url: string): LinkSocket;
  onFrame(frame: ToViewer): void;
  onState(state: LinkState): void;
  now(): number;
  after(ms: number, what: () => void): () => void;
  random(): number;
};

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Doubles from 250 ms to 10 s; a fifth is random, so that a thousand pages do not come back in one instant. */
export function backOffMs(attempt: number, random: number): number {
  const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempt, 10));
  return Math.round(wait * (0.8 + 0.2 * random));
}

export class SessionLink {
  readonly #needs: LinkNeeds;
  #state: LinkState = { phase: "idle", attempt: 0 };
  #socket: LinkSocket | undefined;
  #cancelWait: (() => void) | undefined;

  constructor(needs: LinkNeeds) {
    this.#needs = needs;
  }

  get state(): LinkState {
    return this.#state;
  }

  start(): void {
    if (this.#state.phase === "idle") this.#connect();
  }

  /** The page does not need the session any more. */
  stop(): void {
    this.#drop();
    this.#set({ phase: "idle", attempt: 0 });
  }

  /** Skips what is left of the waiting time. */
  retryNow(): void {
    if (this.#state.phase === "waiting") this.#connect();
  }

  /** The network went away and came back: whatever the socket believes, it is not to be trusted. */
  reconnect(): void {
    if (this.#state.phase === "idle" || this.#state.phase === "closed") return;
    this.#drop();
    this.#connect();
  }

  /** False when there is no open socket; whoever has something to say keeps it until the link is live again. */
  send(message: FromViewer): boolean {
    if (this.#state.phase !== "open" || !this.#socket) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #connect(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#set({
      phase: "connecting",
      attempt: this.#state.attempt,
      downSince: this.#state.downSince ?? this.#needs.now(),
    });
    const socket = this.#needs.open(this.#needs.url());
    this.#socket = socket;
    socket.onopen = () => {
      if (socket === this.#socket) this.#set({ ...this.#state, phase: "open" });
    };
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#receive(JSON.parse(String(event.data)) as ToViewer);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event.code);
    };
  }

  #receive(frame: ToViewer): void {
    // Only now is the way through proven: an upgrade that is closed at once must not start the back-off anew.
    if (frame.type === "live") this.#set({ phase: "open", attempt: 0 });
    this.#needs.onFrame(frame);
  }

  #closed(code: number): void {
    this.#socket = undefined;
    const { name, retry } = closeByCode(code);
    const downSince = this.#state.downSince ?? this.#needs.now();
    if (!retry) return this.#set({ phase: "closed", attempt: this.#state.attempt, downSince, why: name });
    const wait = backOffMs(this.#state.attempt, this.#needs.random());
    const attempt = this.#state.attempt + 1;
    this.#set({ phase: "waiting", attempt, downSince, retryAt: this.#needs.now() + wait });
    this.#cancelWait = this.#needs.after(wait, () => this.#connect());
  }

  #drop(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
  }

  #set(state: LinkState): void {
    this.#state = state;
    this.#needs.onState(state);
  }
}
